"""The tables, as numbered migrations: `PRAGMA user_version` says how many a file has seen."""

from __future__ import annotations

import secrets
import sqlite3
from typing import Final

from server.errors import StoreUnusable

# FTS5 is contentless: the words stand once, in the event; rowid = room << ROOM_SHIFT | event id.
ROOM_SHIFT: Final = 40

MIGRATIONS: Final = (
    """
    CREATE TABLE meta(key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE rooms(
        number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, head INTEGER NOT NULL, state BLOB NOT NULL,
        last_time TEXT NOT NULL DEFAULT '', last_user TEXT NOT NULL DEFAULT '', last_text TEXT NOT NULL DEFAULT '');
    CREATE TABLE events(
        room INTEGER NOT NULL, id INTEGER NOT NULL, payload BLOB NOT NULL, PRIMARY KEY(room, id)) WITHOUT ROWID;
    CREATE TABLE commands(
        room INTEGER NOT NULL, user TEXT NOT NULL, cid TEXT NOT NULL, ack BLOB NOT NULL,
        PRIMARY KEY(room, user, cid)) WITHOUT ROWID;
    CREATE TABLE pieces(
        room INTEGER NOT NULL, run TEXT NOT NULL, offset INTEGER NOT NULL, text TEXT NOT NULL,
        PRIMARY KEY(room, run, offset)) WITHOUT ROWID;
    CREATE TABLE visits(user TEXT NOT NULL, room TEXT NOT NULL, PRIMARY KEY(user, room)) WITHOUT ROWID;
    CREATE TABLE spending(
        day TEXT PRIMARY KEY, tokens INTEGER NOT NULL, microdollars INTEGER NOT NULL) WITHOUT ROWID;
    CREATE VIRTUAL TABLE words USING fts5(text, content='', tokenize='unicode61 remove_diacritics 2');
    """,
    """
    ALTER TABLE rooms ADD COLUMN open_tasks INTEGER NOT NULL DEFAULT 0;
    CREATE INDEX with_tasks ON rooms(name) WHERE open_tasks > 0;
    """,
)


def migrate(db: sqlite3.Connection, migrations: tuple[str, ...] = MIGRATIONS) -> None:
    """Bring a database to the newest schema, each step in a transaction. Raises StoreUnusable for a newer one."""
    version = db.execute("PRAGMA user_version").fetchone()[0]
    if version > len(migrations):
        raise StoreUnusable("The database was written by a newer tui-agent; update this one, or choose --data-dir.")
    for number, script in enumerate(migrations[version:], version + 1):
        db.executescript(f"BEGIN IMMEDIATE; {script}; PRAGMA user_version={number}; COMMIT;")
    if db.execute("SELECT 1 FROM meta WHERE key='epoch'").fetchone() is None:
        set_fresh_epoch(db)


def set_fresh_epoch(db: sqlite3.Connection) -> None:
    """From now on the log counts as another one: clients take a snapshot instead of resuming."""
    with db:
        db.execute("INSERT OR REPLACE INTO meta VALUES('epoch', ?)", (secrets.token_hex(8),))
