-- SQLite compares texts byte by byte; on MySQL and MariaDB this step makes keys do so too.
SELECT 1;
