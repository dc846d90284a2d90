DROP TABLE IF EXISTS chat_sessions;
