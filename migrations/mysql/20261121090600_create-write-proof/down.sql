DROP TABLE IF EXISTS write_proof;
