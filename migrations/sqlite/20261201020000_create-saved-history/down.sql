DROP TABLE IF EXISTS saved_history;
