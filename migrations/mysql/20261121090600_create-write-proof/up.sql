-- One row that is written to find out whether anything can be written again after a failure.
CREATE TABLE IF NOT EXISTS write_proof (
    id BIGINT NOT NULL PRIMARY KEY CHECK (id = 1),
    filling LONGBLOB NOT NULL
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
