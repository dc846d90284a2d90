-- Keys that come from outside are compared byte by byte: with utf8mb4_bin, which fills up with spaces before it
-- compares, `x` and `x ` are one. The two kinds of server name the collation that does not fill up differently,
-- and each reads over the comment that is for the other. A collation rather than VARBINARY: reports and people at
-- a prompt go on reading texts. Left as they are: the log, whose keys cannot end with a space, and the deliveries,
-- where such a key only joins a line of others; these are large, and to change a key's collation copies a table.
ALTER TABLE webhooks
    MODIFY tenant_id VARCHAR(36) CHARACTER SET utf8mb4 /*M!100202 COLLATE utf8mb4_nopad_bin */ /*!80017 COLLATE utf8mb4_0900_bin */ NOT NULL;

ALTER TABLE event_ids
    MODIFY tenant_id VARCHAR(36) CHARACTER SET utf8mb4 /*M!100202 COLLATE utf8mb4_nopad_bin */ /*!80017 COLLATE utf8mb4_0900_bin */ NOT NULL,
    MODIFY event_id VARCHAR(64) CHARACTER SET utf8mb4 /*M!100202 COLLATE utf8mb4_nopad_bin */ /*!80017 COLLATE utf8mb4_0900_bin */ NOT NULL;

ALTER TABLE offline_messages
    MODIFY tenant_id VARCHAR(36) CHARACTER SET utf8mb4 /*M!100202 COLLATE utf8mb4_nopad_bin */ /*!80017 COLLATE utf8mb4_0900_bin */ NOT NULL,
    MODIFY user_id VARCHAR(64) CHARACTER SET utf8mb4 /*M!100202 COLLATE utf8mb4_nopad_bin */ /*!80017 COLLATE utf8mb4_0900_bin */ NOT NULL,
    MODIFY event_id VARCHAR(64) CHARACTER SET utf8mb4 /*M!100202 COLLATE utf8mb4_nopad_bin */ /*!80017 COLLATE utf8mb4_0900_bin */ NOT NULL;

ALTER TABLE offline_users
    MODIFY tenant_id VARCHAR(36) CHARACTER SET utf8mb4 /*M!100202 COLLATE utf8mb4_nopad_bin */ /*!80017 COLLATE utf8mb4_0900_bin */ NOT NULL,
    MODIFY user_id VARCHAR(64) CHARACTER SET utf8mb4 /*M!100202 COLLATE utf8mb4_nopad_bin */ /*!80017 COLLATE utf8mb4_0900_bin */ NOT NULL;

ALTER TABLE chat_sessions
    MODIFY session_key VARCHAR(128) CHARACTER SET utf8mb4 /*M!100202 COLLATE utf8mb4_nopad_bin */ /*!80017 COLLATE utf8mb4_0900_bin */ NOT NULL,
    MODIFY tenant_id VARCHAR(36) CHARACTER SET utf8mb4 /*M!100202 COLLATE utf8mb4_nopad_bin */ /*!80017 COLLATE utf8mb4_0900_bin */ NOT NULL,
    MODIFY alias VARCHAR(128) CHARACTER SET utf8mb4 /*M!100202 COLLATE utf8mb4_nopad_bin */ /*!80017 COLLATE utf8mb4_0900_bin */ NULL DEFAULT NULL;
