# make test is the whole check: it installs what is missing, then lints and
# tests. Everything it builds or downloads for itself is in bin/ and in Go's
# caches.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := build

BIN := $(CURDIR)/bin
export PATH := $(BIN):$(PATH)

# SQLite is C turned into Go and not ours: the race detector does not look at it,
# which took more time than the tests themselves. Only these two packages: the
# driver beside them holds copies of sync's generic code, and the linker may give
# an uninstrumented copy to everybody. We do no arithmetic with pointers. A process
# that ends need not wait a second for races that are being told: tests start many.
RACE := -race -gcflags=all=-d=checkptr=0 \
	-gcflags='modernc.org/sqlite/lib=-d=checkptr=0 -race=false' \
	-gcflags='modernc.org/libc=-d=checkptr=0 -race=false'

# The databases of the tests live in memory where there is room: most of their time
# was waiting for a disk.
MEMORY := $(shell test $$(df --output=avail -m /dev/shm 2>/dev/null | tail -n 1) -gt 4096 2>/dev/null && echo /dev/shm)

# How long each fuzz target runs under make fuzz.
FUZZTIME ?= 30s

.PHONY: test deps tools lint format build generate bench soak fuzz clean

## test: everything that must hold for a change
test: deps lint
	GORACE=atexit_sleep_ms=0 TMPDIR=$(or $(MEMORY),$${TMPDIR:-/tmp}) go test $(RACE) -parallel 4 -shuffle=on -timeout 60m ./...

## deps: Debian packages that the tests need, installed when missing
deps:
	scripts/install-deps.sh

## tools: the pinned linters, built into bin/
tools: $(BIN)/.linters $(BIN)/.promtool

$(BIN)/.linters: tools/go.mod tools/go.sum
	@echo "building golangci-lint, go-arch-lint and gofumpt (once, a minute or two)"
	mkdir -p $(BIN)
	cd tools && CGO_ENABLED=0 go build -o $(BIN)/ tool
	touch $@

$(BIN)/.promtool: tools/promtool/go.mod tools/promtool/go.sum
	@echo "building promtool (once, a minute or two)"
	mkdir -p $(BIN)
	cd tools/promtool && CGO_ENABLED=0 go build -tags remove_all_sd -o $(BIN)/ tool
	touch $@

$(BIN)/.sqlc: tools/sqlc/go.mod tools/sqlc/go.sum
	mkdir -p $(BIN)
	cd tools/sqlc && go build -o $(BIN)/ tool
	touch $@

## lint: style, arrows, deploy files; docs are checked by go test ./docs
lint: tools
	scripts/lint.sh

## format: rewrite the Go files as the linters want them
format: $(BIN)/.linters
	gofumpt -w .

## build: the product, a static binary
build:
	CGO_ENABLED=0 go build -trimpath -ldflags "-s -w" -o $(BIN)/offramp ./cmd/offramp

## generate: Go code made from queries; its result is committed
generate: $(BIN)/.sqlc
	find . -name sqlc.yaml -not -path './tools/*' -print0 | xargs -0 -r -n 1 sqlc generate -f
	go generate ./...

## bench: the benchmarks, without the tests
bench:
	go test -run '^$$' -bench . -benchmem -timeout 30m ./...

## soak: the long runs: many kills, failover, figures
soak: deps
	OFFRAMP_SOAK=1 go test -count=1 -timeout 3h -v -run 'Soak|Crash|Failover|Figures' ./...

## fuzz: each fuzz target for FUZZTIME
fuzz:
	FUZZTIME=$(FUZZTIME) scripts/fuzz.sh

clean:
	rm -rf $(BIN)
	go clean -testcache
