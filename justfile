# One line per recipe; what needs more lives in xtask.

# List the recipes.
default:
    @just --list

# Run the simulated call centre on 127.0.0.1:8000.
dev *args:
    cargo run --release -- dev {{args}}

# Everything the gate checks.
check:
    ./.ci/run

# The whole suite, or a part of it: `just test -p hookswitch-hub`.
test *args:
    cargo xtask test {{args}}

# Arrows, homes, lengths, stray paths.
tidy:
    cargo xtask tidy

# Format everything.
fmt:
    cargo fmt --all

# Lints as the gate sees them.
lint:
    cargo clippy --workspace --all-targets --all-features -- -D warnings

# Refresh the golden files.
golden *args:
    cargo xtask golden {{args}}

# The long must-holds.
soak *args:
    cargo xtask soak {{args}}

# Fan-out cost against the floors: `just bench --only full-1000 --rounds 1`.
bench *args:
    cargo xtask bench fanout {{args}}

# Events from node to node through one Redis: `just bench-cluster --quick`.
bench-cluster *args:
    cargo xtask bench cluster {{args}}

# Deliveries to webhooks on SQLite and MariaDB: `just bench-webhooks --quick --only sqlite`.
bench-webhooks *args:
    cargo xtask bench webhooks {{args}}

# Fuzz one target or all of them: `just fuzz command --seconds 60`.
fuzz *args:
    cargo xtask fuzz {{args}}
