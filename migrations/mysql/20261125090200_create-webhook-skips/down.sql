DROP TABLE IF EXISTS webhook_skips;
