complete -c vault-exec -l keys -d 'Only these keys, comma-separated; key:NAME renames. [env: VAULT_KEYS] [default: every key]' -r
complete -c vault-exec -l require -d 'Variables that must be there, comma-separated. Without VAULT_ADDR, COMMAND\'s environment must have them; an env file need not. [env: VAULT_REQUIRED_KEYS]' -r
complete -c vault-exec -l allow-name -d 'Names to permit that are denied by default (PATH, LD_PRELOAD ...). [env: VAULT_ALLOW_NAMES]' -r
complete -c vault-exec -l wait -d 'Poll up to this long until Vault takes logins and reads, and the JWT or token file is there. [env: VAULT_WAIT] [default: 0s]' -r
complete -c vault-exec -l env-file -d 'Write this file instead of starting COMMAND; - is standard output. [env: VAULT_ENV_FILE]' -r -F
complete -c vault-exec -l format -d 'sh, kubernetes, docker, compose, systemd, dotenv, json, or dir: a folder with a file for each key. [env: VAULT_ENV_FILE_FORMAT] [default: sh]' -r
complete -c vault-exec -l watch -d 'Keep the env file current. The secrets are read again after this time and 1/12 to 1/6 of it; at least 1s. COMMAND, if there is one, runs after each change. [env: VAULT_WATCH]' -r
complete -c vault-exec -l listen -d 'With --watch: ADDRESS:PORT where /health, /ready and /metrics are served, e.g. localhost:8080. [env: VAULT_HEALTH_LISTEN]' -r
complete -c vault-exec -l notify -d 'With --watch: signal, and the process that gets it after each change, e.g. HUP:nginx or HUP:/run/nginx.pid. [env: VAULT_NOTIFY]' -r
complete -c vault-exec -l report -d 'How --check reports: text or json [default: text]' -r
complete -c vault-exec -l install -d 'Copy this program to DIR/vault-exec, over one that is running too' -r -f -a "(__fish_complete_directories)"
complete -c vault-exec -l force -d 'Write secrets to standard output even if it is a terminal'
complete -c vault-exec -l check -d 'Go through every step, start and write nothing, and report'
complete -c vault-exec -l verbose -d 'With --check: show every setting, defaults too'
complete -c vault-exec -l logout -d 'Revoke and remove the cached token of an oidc login; without VAULT_ADDR all of them'
complete -c vault-exec -s h -l help -d 'Print help (see more with \'--help\')'
complete -c vault-exec -s V -l version -d 'Print version'
