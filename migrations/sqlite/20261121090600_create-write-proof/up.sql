-- One row that is written to find out whether anything can be written again after a failure.
CREATE TABLE IF NOT EXISTS write_proof (
    id INTEGER PRIMARY KEY NOT NULL CHECK (id = 1),
    filling BLOB NOT NULL
);
