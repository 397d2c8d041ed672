# `make test` is what every change must pass; `make demo` shows what it is all for.
# Tests against real servers wait more than they work: five labs at a time keep two cores busy.
THREADS ?= 5
# These count every request that users lose: they have the machine to themselves.
ALONE = nights:: killed::
# What waits for limits to pass, what is rare, and what proves the lab itself: minutes, so they have a
# target of their own.
FAULTS = drift:: store_lost:: moving:: data:: shapes:: first_night:: new_fleet:: remembered:: dry_run:: stopping:: monitoring:: names_fail:: hosts_fail:: lines_fail:: registry_fails:: two_coordinators:: images::an_image_that_lies images::a_site_that_breaks drains::a_secondary_that on_call::with_its_own_name brands:: lab_itself:: rolls_back:: releases::a_promotion releases::somebody_else release_terms:: releases::a_pinned kept:: compose::the_corpus doctor::of_
CARGO ?= cargo

# Where `make install` puts things; DESTDIR is set before all of it, for packages.
PREFIX ?= /usr/local
SYSCONFDIR ?= /etc
# The program that is installed, and that writes its own pages and completions.
PROGRAM ?= target/release/cleanslate

.PHONY: setup build static install uninstall deb check test features demo bench compose wrong sim faults soak fuzz clean

setup:            ## install what the build and the lab need (Debian, root)
	@bash tests/lab/install.sh

build:
	$(CARGO) build --release

# The system's C library is linked in. It looks names up by itself then: /etc/hosts and DNS, no other
# service that /etc/nsswitch.conf may name (docs/install.md). Random numbers come from the kernel, by no file.
static:           ## one file that needs no library: target/x86_64-unknown-linux-gnu/release/cleanslate
	RUSTFLAGS="-C target-feature=+crt-static --cfg getrandom_backend=\"linux_getrandom\"" $(CARGO) build --locked --release --bin cleanslate --target $(STATIC)

STATIC ?= $(shell uname -m)-unknown-linux-gnu

install:          ## the program, units, completions, pages, documents; examples only where there are none
	@test -x $(PROGRAM) || $(MAKE) --no-print-directory build
	@sh packaging/install.sh "$(DESTDIR)" "$(PREFIX)" "$(SYSCONFDIR)" "$(PROGRAM)"

uninstall:        ## takes away what `make install` put there; configuration and state stay
	@sh packaging/uninstall.sh "$(DESTDIR)" "$(PREFIX)"

deb: build        ## target/deb/cleanslate_VERSION_ARCH.deb
	@bash packaging/deb.sh "$(PROGRAM)"

check:            ## format, lints, documentation
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --no-deps --document-private-items

test: setup check ## what every change must pass: lints, then tests, real BIND, Docker and registry included
	$(CARGO) test --locked --lib --bins --no-fail-fast -- --test-threads $(THREADS)
	$(CARGO) build --locked --bins --example lab
	$(CARGO) test --locked --test it --no-fail-fast -- --test-threads 1 $(ALONE)
	$(CARGO) test --locked --test it --no-fail-fast -- --test-threads $(THREADS) $(ALONE:%=--skip %) $(FAULTS:%=--skip %)
	$(CARGO) test --locked --doc

features:         ## what is built in only where it is asked for: lints and its tests
	$(CARGO) clippy --locked --all-targets --features otlp -- -D warnings
	$(CARGO) test --locked --lib --features otlp -- otlp:: config:: api::trace

faults: setup     ## servers, hosts, registries and coordinators that fail for real, and the lab they fail in
	$(CARGO) build --locked --bins --example lab
	$(CARGO) test --locked --test it --no-fail-fast -- --test-threads $(THREADS) $(FAULTS)

compose: setup    ## the corpus of Compose files, made by cleanslate and by docker-compose, and what differs
	$(CARGO) test --locked --test it -- --nocapture compose::

wrong: setup      ## the corpus of wrong inputs, answered by a release build, and how long each answer took
	$(CARGO) test --release --locked --test it -- --nocapture wrong_inputs::

sim:              ## a million nights full of faults, every crash, every meeting of two coordinators, and what each guard is for
	CLEANSLATE_NIGHTS=1000000 $(CARGO) test --profile sim --locked --lib -- --nocapture --test-threads 1 sim::

soak: setup       ## the tests that count bytes, rounds, kills and steps, at length: an hour and a half
	CLEANSLATE_AT_LENGTH=1 $(CARGO) test --locked --lib -- store::damage
	CLEANSLATE_ROUNDS=10000 $(CARGO) test --locked --lib -- --test-threads 1 races::
	CLEANSLATE_KILLS=200 $(CARGO) test --locked --test it -- --nocapture killed::
	CLEANSLATE_STEPS=all $(CARGO) test --locked --test it -- two_coordinators::
	$(CARGO) test --locked --test it -- --nocapture --test-threads 1 --ignored ten_nights a_flood

fuzz: setup       ## every reader of what comes from outside, guided by what it covers, FUZZ_SECONDS a target
	@CARGO="$(CARGO)" bash fuzz/run.sh $(TARGETS)

demo: setup       ## a fleet of three sites, rotated under load before your eyes
	$(CARGO) build --locked --bin cleanslate --example lab
	target/debug/examples/lab demo

bench: setup
	$(CARGO) bench --locked --bench night

clean:            ## tear down every lab of this machine and remove what was built
	-target/debug/examples/lab down --all
	-target/release/examples/lab down --all
	$(CARGO) clean
