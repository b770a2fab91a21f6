# SPDX-License-Identifier: Apache-2.0
# An image of mintd, with useradm and deviceauth as links to it.
#   docker build --build-arg VERSION="$(git describe --tags --always)" -t mintd .
# tests/e2e/test_deploy.py runs these steps as plain commands.
FROM debian:12-slim AS build
RUN apt-get update && apt-get install -y --no-install-recommends \
        make gcc libc6-dev pkg-config libmicrohttpd-dev libssl-dev libjansson-dev libpcre2-dev libpq-dev libsqlite3-dev \
        libyaml-dev libcrypt-dev libcurl4-openssl-dev uthash-dev
WORKDIR /src
COPY Makefile ./
COPY lib lib
COPY keystore keystore
COPY auth auth
COPY api api
COPY cmd cmd
COPY migrations migrations
ARG VERSION=unknown
RUN make -j"$(nproc)" CFLAGS=-O2 VERSION="$VERSION" DESTDIR=/out install

FROM debian:12-slim
RUN apt-get update && apt-get install -y --no-install-recommends \
        ca-certificates libmicrohttpd12 libssl3 libjansson4 libpcre2-8-0 libpq5 libsqlite3-0 libyaml-0-2 libcrypt1 libcurl4 && \
    rm -rf /var/lib/apt/lists/*
RUN groupadd --gid 10001 mintd && \
    useradd --uid 10001 --gid mintd --home-dir /var/lib/mintd --no-create-home --shell /usr/sbin/nologin mintd && \
    install -d -o mintd -g mintd -m 700 /var/lib/mintd /var/lib/mintd/keys /var/lib/mintd/device-keys
COPY --from=build /out/ /
ENV MINTD_DB=sqlite:/var/lib/mintd/mintd.db \
    USERADM_KEY_DIRECTORY=/var/lib/mintd/keys
USER mintd
WORKDIR /var/lib/mintd
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=6s --start-period=10s --retries=3 CMD ["mintd", "health"]
ENTRYPOINT ["mintd"]
CMD ["server"]
