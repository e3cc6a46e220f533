//! The tables of `conversations.db`, their index, and the steps from each version to the next.

use rusqlite::Connection;
use rusqlite::functions::FunctionFlags;

use super::super::database::Schema;
use super::tokens::index_text;

pub(in crate::state) static SCHEMA: Schema = Schema {
    file: "conversations.db",
    holds: "the conversations",
    define_functions,
    steps: &["
    CREATE TABLE conversation (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        title TEXT,
        opening TEXT NOT NULL DEFAULT '',
        preview TEXT NOT NULL DEFAULT '',
        pinned INTEGER NOT NULL DEFAULT 0,
        created_at INTEGER NOT NULL,
        updated_at INTEGER NOT NULL,
        deleted_at INTEGER,
        messages INTEGER NOT NULL DEFAULT 0,
        settings TEXT NOT NULL
    ) STRICT;
    CREATE INDEX conversation_order ON conversation (pinned DESC, updated_at DESC, id DESC) WHERE deleted_at IS NULL;
    CREATE TABLE message (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        conversation INTEGER NOT NULL REFERENCES conversation (id) ON DELETE CASCADE,
        -- The one before it; of those with the same one before, one is shown.
        before INTEGER,
        shown INTEGER NOT NULL,
        role TEXT NOT NULL,
        text TEXT NOT NULL DEFAULT '',
        reasoning TEXT NOT NULL DEFAULT '',
        reasoning_ms INTEGER NOT NULL DEFAULT 0,
        parts TEXT NOT NULL DEFAULT '[]',
        citations TEXT NOT NULL DEFAULT '[]',
        created_at INTEGER NOT NULL,
        -- How it ended; NULL while it is being written, and for ever if the writer was killed.
        state TEXT,
        told TEXT,
        left_out INTEGER NOT NULL DEFAULT 0
    ) STRICT;
    CREATE INDEX message_conversation ON message (conversation);
    CREATE TABLE picture (
        message INTEGER NOT NULL REFERENCES message (id) ON DELETE CASCADE,
        place INTEGER NOT NULL,
        data BLOB NOT NULL,
        PRIMARY KEY (message, place)
    ) STRICT, WITHOUT ROWID;

    CREATE VIRTUAL TABLE words USING fts5 (
        text, content = 'message', content_rowid = 'id', tokenize = 'unicode61 remove_diacritics 2', prefix = '2 3'
    );
    CREATE TRIGGER message_in AFTER INSERT ON message BEGIN
        INSERT INTO words (rowid, text) VALUES (new.id, new.text);
    END;
    CREATE TRIGGER message_out AFTER DELETE ON message BEGIN
        INSERT INTO words (words, rowid, text) VALUES ('delete', old.id, old.text);
    END;
    CREATE TRIGGER message_again AFTER UPDATE OF text ON message WHEN old.text <> new.text BEGIN
        INSERT INTO words (words, rowid, text) VALUES ('delete', old.id, old.text);
        INSERT INTO words (rowid, text) VALUES (new.id, new.text);
    END;
    INSERT INTO words (words, rank) VALUES ('secure-delete', 1);

    CREATE VIRTUAL TABLE names USING fts5 (
        title, content = 'conversation', content_rowid = 'id', tokenize = 'unicode61 remove_diacritics 2', prefix = '2 3'
    );
    CREATE TRIGGER conversation_in AFTER INSERT ON conversation BEGIN
        INSERT INTO names (rowid, title) VALUES (new.id, new.title);
    END;
    CREATE TRIGGER conversation_out AFTER DELETE ON conversation BEGIN
        INSERT INTO names (names, rowid, title) VALUES ('delete', old.id, old.title);
    END;
    CREATE TRIGGER conversation_again AFTER UPDATE OF title ON conversation BEGIN
        INSERT INTO names (names, rowid, title) VALUES ('delete', old.id, old.title);
        INSERT INTO names (rowid, title) VALUES (new.id, new.title);
    END;
    INSERT INTO names (names, rank) VALUES ('secure-delete', 1);
",
        // How private the content of a message was said to be; NULL from earlier releases.
        "ALTER TABLE message ADD COLUMN sensitivity TEXT;",
        // A message of a long conversation finds its siblings without reading all others.
        "
    DROP INDEX message_conversation;
    CREATE INDEX message_before ON message (conversation, before);
",
        // The index has the words of this library, because FTS5's own tokenizer takes a text without spaces for one word.
        "
    DROP TRIGGER message_in;
    DROP TRIGGER message_out;
    DROP TRIGGER message_again;
    DROP TRIGGER conversation_in;
    DROP TRIGGER conversation_out;
    DROP TRIGGER conversation_again;
    DROP TABLE words;
    DROP TABLE names;

    CREATE VIRTUAL TABLE words USING fts5 (
        text, content = '', columnsize = 0, tokenize = 'ascii', prefix = '2 3'
    );
    INSERT INTO words (words, rank) VALUES ('secure-delete', 1);
    INSERT INTO words (rowid, text) SELECT id, search_words(text) FROM message WHERE text <> '';
    CREATE TRIGGER message_in AFTER INSERT ON message WHEN new.text <> '' BEGIN
        INSERT INTO words (rowid, text) VALUES (new.id, search_words(new.text));
    END;
    CREATE TRIGGER message_out AFTER DELETE ON message WHEN old.text <> '' BEGIN
        INSERT INTO words (words, rowid, text) VALUES ('delete', old.id, search_words(old.text));
    END;
    CREATE TRIGGER message_again AFTER UPDATE OF text ON message WHEN old.text <> new.text BEGIN
        INSERT INTO words (words, rowid, text)
            SELECT 'delete', old.id, search_words(old.text) WHERE old.text <> '';
        INSERT INTO words (rowid, text) SELECT new.id, search_words(new.text) WHERE new.text <> '';
    END;

    CREATE VIRTUAL TABLE names USING fts5 (
        title, content = '', columnsize = 0, tokenize = 'ascii', prefix = '2 3'
    );
    INSERT INTO names (names, rank) VALUES ('secure-delete', 1);
    INSERT INTO names (rowid, title) SELECT id, search_words(title) FROM conversation WHERE title IS NOT NULL;
    CREATE TRIGGER conversation_in AFTER INSERT ON conversation WHEN new.title IS NOT NULL BEGIN
        INSERT INTO names (rowid, title) VALUES (new.id, search_words(new.title));
    END;
    CREATE TRIGGER conversation_out AFTER DELETE ON conversation WHEN old.title IS NOT NULL BEGIN
        INSERT INTO names (names, rowid, title) VALUES ('delete', old.id, search_words(old.title));
    END;
    CREATE TRIGGER conversation_again AFTER UPDATE OF title ON conversation BEGIN
        INSERT INTO names (names, rowid, title)
            SELECT 'delete', old.id, search_words(old.title) WHERE old.title IS NOT NULL;
        INSERT INTO names (rowid, title) SELECT new.id, search_words(new.title) WHERE new.title IS NOT NULL;
    END;
",
    ],
};

/// Defines `search_words(text)`, with which the triggers of the file fill the index, for a connection.
fn define_functions(connection: &Connection) -> rusqlite::Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC | FunctionFlags::SQLITE_INNOCUOUS;
    connection.create_scalar_function("search_words", 1, flags, |values| {
        let text = values.get_raw(0).as_str_or_null()?;
        Ok(text.map(index_text))
    })
}
