# What the continuous integration runs, and what a change needs before it is sent.

set shell := ["bash", "-euo", "pipefail", "-c"]

# Everything that has to pass
ci: tools format lint docs test

# Installs the real parts that the tests talk to
tools:
    tests/install-tools

format:
    cargo fmt --check

lint:
    cargo clippy --all-targets -- -D warnings

docs:
    RUSTDOCFLAGS="-D warnings" cargo doc --no-deps

# The scenarios' tally is a file, because the test harness hides what a passing test prints
test:
    cargo test
    @sort target/tmp/it-tally.txt | cut -d" " -f1 | uniq -c | sed "s/^ */scenarios: /"

# Renews the table of faults in SECURITY.md
faults:
    UPDATE_SECURITY=1 cargo test --test it the_table_of_faults_is_that_of_the_tests

# Size, memory, time and requests, printed as a table
bench:
    cargo bench
