#!/bin/sh
# Checks the files of this folder with whatever tools are here. Says what it skipped; ends with 1 when
# something is wrong. Starts nothing, and needs no daemon.
set -u
cd "$(dirname "$0")" || exit 1
scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT
failed=0

ok() { echo "ok       $1"; }
skipped() { echo "skipped  $1"; }
wrong() {
    echo "WRONG    $1"
    [ -s "$scratch/out" ] && sed 's/^/         /' "$scratch/out"
    failed=1
}
# check WHAT COMMAND...: runs the command, and says how it went.
check() {
    what=$1
    shift
    if "$@" >"$scratch/out" 2>&1; then ok "$what"; else wrong "$what"; fi
}

# The variables that the compose file takes, each as a word.
taken() { grep -o '\${[A-Z_]*' docker-compose.yml | sed 's/\${//' | sort -u; }

every_variable_is_listed() {
    for name in $(taken); do
        grep -q "^$name=" .env.example || { echo ".env.example lacks $name"; return 1; }
    done
}
no_secret_is_filled_in() {
    ! grep -E '^[A-Z_]*(SECRET|PASSWORD|KEY|TOKEN)[A-Z_]*=.' .env.example
}
copied_files_exist() {
    for source in $(sed -n 's/^!//p' Dockerfile.dockerignore); do
        [ -e "../../$source" ] || { echo "Dockerfile.dockerignore names $source, which is not there"; return 1; }
    done
}
compose_is_valid() {
    # Values for what .env.example leaves empty, in this process only.
    for name in $(taken); do export "$name=placeholder"; done
    export PUBLIC_PORT=8080
    "$@" --env-file .env.example -f docker-compose.yml config -q
}
nginx_is_valid() {
    # The nodes' names are known to Docker only, and ports below 1024 to root only.
    sed -e 's/server node-[0-9]*:8000/server 127.0.0.1:8000/' -e 's/listen 80 /listen 127.0.0.1:8080 /' \
        -e "s|^http {|&\n    client_body_temp_path $scratch/body;\n    proxy_temp_path $scratch/proxy;|" \
        nginx.conf >"$scratch/nginx.conf"
    nginx -t -q -p "$scratch" -c "$scratch/nginx.conf" -g "pid $scratch/nginx.pid;"
}

haproxy_is_valid() {
    sed -e 's/server \(node-[12]\) node-[12]:8000/server \1 127.0.0.1:8000/' haproxy.cfg >"$scratch/haproxy.cfg"
    haproxy -c -q -f "$scratch/haproxy.cfg"
}

check '.env.example lists every variable of docker-compose.yml' every_variable_is_listed
check '.env.example holds no secret' no_secret_is_filled_in
check 'what the image is built from is there' copied_files_exist

if docker compose version >/dev/null 2>&1; then
    check 'docker-compose.yml, by docker compose' compose_is_valid docker compose
elif command -v docker-compose >/dev/null; then
    check 'docker-compose.yml, by docker-compose' compose_is_valid docker-compose
else
    skipped 'docker-compose.yml: neither docker compose nor docker-compose is here'
fi

if command -v nginx >/dev/null; then
    check 'nginx.conf, by nginx -t' nginx_is_valid
else
    skipped 'nginx.conf: nginx is not here'
fi

if command -v haproxy >/dev/null; then
    check 'haproxy.cfg, by haproxy -c' haproxy_is_valid
else
    skipped 'haproxy.cfg: haproxy is not here'
fi

if docker info >/dev/null 2>&1 && docker buildx version >/dev/null 2>&1; then
    check 'Dockerfile, by docker build --check' docker build --check --file Dockerfile ../..
else
    skipped 'Dockerfile: needs docker with buildx and a daemon'
fi

exit "$failed"
