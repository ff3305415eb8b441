# What the continuous integration runs, and what a change needs before it is sent.

set shell := ["bash", "-euo", "pipefail", "-c"]

# Everything that has to pass
ci: tools format lint docs builds reproducible goals test

# The image and the files of a release, one beside the other: much of a build has work for one core only
[parallel]
builds: image dist

# Installs the real parts that the tests talk to
tools:
    tests/install-tools

# Formatting, as rustfmt has it
format:
    cargo fmt --all --check

# clippy without a warning
lint:
    cargo clippy --all-targets --workspace --features vault-client/plans -- -D warnings

# The libraries' documentation without a warning
docs:
    RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --workspace

# The scenarios' tally is a file, because the test harness hides what a passing test prints.
#
# All tests, and how many scenarios ran on which server
test:
    cargo test --workspace
    @sort target/tmp/*-tally.txt | cut -d" " -f1 | uniq -c | sed "s/^ */scenarios: /"

# The container images, built by deploy/Dockerfile into target/image
image:
    tests/image

# The files of a release as the source is now, into target/dist
dist:
    deploy/dist

# The files of a release once it is committed, into target/release-VERSION
release:
    deploy/release

# Whether another build of target/dist and target/image gives the same bytes
reproducible:
    tests/reproducible

# Renews the table of faults in SECURITY.md
faults:
    UPDATE_SECURITY=1 cargo test --test it the_table_of_faults_is_that_of_the_tests

# Runs on the real server behind a proxy to which things happen at random, and restarts of it; CHAOS_SEED repeats one
chaos runs="300" restarts="10":
    cargo build --example child
    CHAOS_RUNS={{runs}} CHAOS_RESTARTS={{restarts}} cargo test --test it -- --nocapture --test-threads=1 cases::chaos cases::restart

# Situations at random in which `--check` has to come to what the run comes to; AGREEMENT_SEED repeats one
agreement runs="2000":
    cargo build --example child
    AGREEMENT_RUNS={{runs}} cargo test --test it -- --nocapture cases::agreement

# Instances that start at once: on the real server, and on the embedded one with a rate limit; sidecars for a while
herd size="300" limited="1000" seconds="60":
    cargo build --example child
    HERD_SIZE={{size}} HERD_LIMITED_SIZE={{limited}} HERD_SECONDS={{seconds}} cargo test --test it -- --nocapture --test-threads=1 cases::herd

# Licences, sources and bans, and advisories where a clone of the RustSec database is named
audit folder="":
    tests/audit {{folder}}

# Needs `rustup component add --toolchain nightly miri rust-src`
#
# The logic that touches neither network nor kernel, in the interpreter that finds undefined behaviour
miri:
    MIRIFLAGS=-Zmiri-disable-isolation cargo +nightly miri test --lib --target-dir target/miri \
        --package vault-exec --package vault-client -- \
        json:: text:: secret:: secrets:: config::value settings::value options::address options::socket retry:: keeper::plan --skip very_deep

# What a start costs, against its goals and the others on PATH, and how it grows
bench:
    cargo bench --profile dev

# What it costs to keep a file current, beside an agent; some seven minutes
bench-watch:
    cargo bench --profile dev --bench figures -- --watch

# What the library costs, against its goals, bare requests and the program of a peer that VAULTRS_PROGRAM names
bench-library:
    cargo bench --profile dev --package vault-client --bench library

# What a read through the gateway costs, against its goals, OpenBao directly and its own proxy; some three minutes
bench-gateway:
    cargo bench --profile dev --package vault-gateway --bench gateway

# 100,000 programs in virtual time: requests a second at steady state, after an outage, a restart, with a rate limit
fleet:
    cargo bench --package vault-client --features plans --bench fleet -- --picture

# Both without what depends on the speed of the machine
goals:
    cargo bench --profile dev -- --steady
    cargo bench --profile dev --package vault-client --bench library -- --steady

# Tries every property with what a fuzzer finds, so many seconds each
fuzz seconds="600":
    fuzz/run {{seconds}}
