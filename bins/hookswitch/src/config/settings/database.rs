//! `[database]`: a SQLite file, or a MySQL or MariaDB server.

use super::{Kind, Setting};

pub(crate) const DATABASE_URL: Setting = Setting {
    env: "DATABASE_URL",
    key: "database.url",
    kind: Kind::Url,
    default: "sqlite://./hookswitch.db",
    doc: "The database. `sqlite://path/to/file.db`, an absolute path being `sqlite:///var/lib/hookswitch/hookswitch.db`: \
          the directory must exist; the file is created and its schema is migrated at start; one process may use it at \
          a time. `mysql://user:password@host:3306/database` (`mariadb://` means the same): special characters are \
          percent-encoded; several nodes may use it at a time; its schema is changed only by `hookswitch migrate up` \
          or `serve --migrate`. After `?` may stand `tls=true`, `tls_ca=/path/to/authority.pem` and \
          `socket=/path/to/mysqld.sock`, joined by `&`. Wins over `DB_HOST` and its companions.",
};

pub(crate) const DB_HOST: Setting = Setting {
    env: "DB_HOST",
    key: "database.host",
    kind: Kind::Text,
    default: "",
    doc: "The name or address of a MySQL or MariaDB server, as an alternative to `DATABASE_URL`. Needs `DB_USER` and \
          `DB_NAME`.",
};

pub(crate) const DB_PORT: Setting = Setting {
    env: "DB_PORT",
    key: "database.port",
    kind: Kind::Number { min: 1, max: 65_535 },
    default: "3306",
    doc: "The port of the server at `DB_HOST`.",
};

pub(crate) const DB_USER: Setting = Setting {
    env: "DB_USER",
    key: "database.user",
    kind: Kind::Text,
    default: "",
    doc: "Who logs in at `DB_HOST`. The rights it needs: docs/operations.md.",
};

pub(crate) const DB_PASSWORD: Setting = Setting {
    env: "DB_PASSWORD",
    key: "database.password",
    kind: Kind::Secret,
    default: "",
    doc: "The password of `DB_USER`, as it is, without any encoding.",
};

pub(crate) const DB_NAME: Setting = Setting {
    env: "DB_NAME",
    key: "database.name",
    kind: Kind::Text,
    default: "",
    doc: "The database on the server at `DB_HOST`. It must exist.",
};
