"""The tables, and the ages of what is in them."""

from __future__ import annotations

MINUTE = 60_000


HOUR = 60 * MINUTE


DAY = 24 * HOUR


SCHEMA = """
CREATE TABLE IF NOT EXISTS nonces (nonce TEXT PRIMARY KEY, expires_at INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS nonces_by_end ON nonces (expires_at);
CREATE TABLE IF NOT EXISTS inbox (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, received_at INTEGER NOT NULL, lane TEXT NOT NULL, intent TEXT
    NOT NULL);
CREATE TABLE IF NOT EXISTS tokens (
    token TEXT PRIMARY KEY, mik_id TEXT NOT NULL, ip TEXT, mac TEXT, user_agent TEXT, seen_at INTEGER NOT
    NULL);
CREATE INDEX IF NOT EXISTS tokens_by_age ON tokens (seen_at);
CREATE TABLE IF NOT EXISTS token_sessions (
    token TEXT NOT NULL, name TEXT NOT NULL, at INTEGER NOT NULL, PRIMARY KEY (token, name)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS moves (token TEXT NOT NULL, at INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS moves_by_token ON moves (token, at);
CREATE TABLE IF NOT EXISTS waiting (
    token TEXT NOT NULL, order_key TEXT NOT NULL, intent TEXT NOT NULL, expires_at INTEGER NOT NULL,
    PRIMARY KEY (token, order_key)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS revokes (
    device TEXT NOT NULL, mac TEXT NOT NULL, ip TEXT NOT NULL, order_id TEXT NOT NULL, revoked_at REAL NOT
    NULL, kept_until INTEGER NOT NULL, PRIMARY KEY (device, order_id, mac, ip)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS placements (
    order_id TEXT NOT NULL, type TEXT NOT NULL, device TEXT NOT NULL, name TEXT NOT NULL, at INTEGER NOT NULL,
    PRIMARY KEY (order_id, type)) WITHOUT ROWID;
"""
