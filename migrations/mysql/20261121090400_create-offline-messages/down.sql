DROP TABLE IF EXISTS offline_users;
DROP TABLE IF EXISTS offline_messages;
