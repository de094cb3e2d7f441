import { byDomain, localOf, wordsOf } from './dialect.ts'

/** All tables are in it, so that the database may be used for other things, too. */
export const schema = 'sluice'

/**
 * What makes the tables, step by step; the fact `version` says how many are done. Only ever appended to: a ledger that finds fewer
 * steps done than it knows does the others, one that finds more leaves everything as it is.
 */
export const steps: readonly string[] = [
  `
  CREATE TABLE hosts (
    host INTEGER GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    identity TEXT COLLATE "C" NOT NULL UNIQUE,
    name TEXT COLLATE "C" NOT NULL
  );
  CREATE TABLE files (
    file INTEGER GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    host INTEGER NOT NULL REFERENCES hosts,
    name TEXT COLLATE "C" NOT NULL,
    position BIGINT NOT NULL,
    UNIQUE (host, name)
  );
  CREATE TABLE names (name INTEGER GENERATED ALWAYS AS IDENTITY PRIMARY KEY, text TEXT COLLATE "C" NOT NULL);
  CREATE TABLE messages (
    message BIGINT PRIMARY KEY,
    id TEXT COLLATE "C" NOT NULL,
    size BIGINT,
    host INTEGER NOT NULL,
    listener INTEGER,
    tags INTEGER,
    kind SMALLINT NOT NULL,
    sender TEXT COLLATE "C",
    client TEXT COLLATE "C",
    "user" TEXT COLLATE "C",
    header_id TEXT COLLATE "C"
  );
  CREATE TABLE copies (
    message BIGINT NOT NULL,
    n BIGINT NOT NULL,
    at BIGINT NOT NULL,
    next_at BIGINT,
    stage INTEGER,
    rules INTEGER,
    class INTEGER,
    state SMALLINT NOT NULL,
    address TEXT COLLATE "C",
    remote TEXT COLLATE "C",
    PRIMARY KEY (message, n)
  );
  CREATE TABLE lines (
    message BIGINT NOT NULL,
    position BIGINT NOT NULL,
    file INTEGER NOT NULL,
    packed BYTEA NOT NULL,
    PRIMARY KEY (message, position, file)
  );
  ALTER TABLE lines ALTER COLUMN packed SET STORAGE EXTERNAL;
  CREATE UNIQUE INDEX messages_id ON messages (id);
  CREATE INDEX messages_sender ON messages (${byDomain('sender')}, message) WHERE sender IS NOT NULL;
  CREATE INDEX messages_client ON messages (client, message) WHERE client IS NOT NULL;
  CREATE INDEX messages_user ON messages (lower("user"), message) WHERE "user" IS NOT NULL;
  CREATE INDEX messages_header_id ON messages (header_id) WHERE header_id IS NOT NULL;
  CREATE INDEX messages_tags ON messages (tags, message) WHERE tags IS NOT NULL;
  CREATE INDEX copies_address ON copies (${byDomain('address')}, message);
  CREATE INDEX copies_rules ON copies (rules, message) WHERE rules IS NOT NULL;
  CREATE INDEX copies_class ON copies (class, message) WHERE class IS NOT NULL;
  CREATE INDEX copies_open ON copies (message, n) WHERE state < 3;
  CREATE INDEX copies_ended ON copies (state, message) WHERE state > 4;
  CREATE INDEX copies_words ON copies USING gin (${wordsOf('remote')});
  `,
  `
  CREATE INDEX messages_local ON messages (${localOf('sender')}, message) WHERE sender IS NOT NULL;
  CREATE INDEX copies_local ON copies (${localOf('address')}, message);
  ALTER TABLE messages ADD COLUMN subject TEXT COLLATE "C";
  CREATE INDEX messages_words ON messages USING gin (${wordsOf('subject')}) WHERE subject IS NOT NULL;
  `,
]

/** In plain text: `facts` itself is there from the first step on. */
export const facts = 'CREATE TABLE facts (name TEXT COLLATE "C" PRIMARY KEY, value BIGINT NOT NULL)'
