# fish completion for sandlock; installed as share/fish/vendor_completions.d/sandlock.fish.

function __sandlock_in_run
    set -l words (commandline -opc)
    test (count $words) -ge 2; and test $words[2] = run
end

complete -c sandlock -f -n __fish_use_subcommand -a run -d 'run a command, confined'
complete -c sandlock -f -n __fish_use_subcommand -a ps -d 'list the runs'
complete -c sandlock -f -n __fish_use_subcommand -a inspect -d 'show a run and its policy'
complete -c sandlock -f -n __fish_use_subcommand -a kill -d 'end a run, or signal it'
complete -c sandlock -f -n __fish_use_subcommand -a check -d 'tell what this kernel can do'
complete -c sandlock -f -n __fish_use_subcommand -a profile -d 'list, show or delete profiles'
complete -c sandlock -f -n __fish_use_subcommand -a version -d 'print the version'
complete -c sandlock -f -n __fish_use_subcommand -a help -d 'print the help of a command'
complete -c sandlock -f -n '__fish_seen_subcommand_from help' -a 'run ps inspect kill check profile version help'
complete -c sandlock -f -n '__fish_seen_subcommand_from ps inspect check version' -l json -d 'print JSON'
complete -c sandlock -f -n '__fish_seen_subcommand_from inspect kill' \
    -a "(sandlock ps 2>/dev/null | awk 'NR > 1 {print \$1}')"
complete -c sandlock -n '__fish_seen_subcommand_from kill' -s s -l signal -x \
    -a 'TERM KILL INT HUP QUIT STOP CONT USR1 USR2' -d 'signal to send'

function __sandlock_profiles
    sandlock profile list 2>/dev/null | awk 'NR > 1 {print $1}'
end
complete -c sandlock -f -n '__fish_seen_subcommand_from profile' -a 'list show delete'
complete -c sandlock -f -n '__fish_seen_subcommand_from profile' -l json -d 'print JSON'
complete -c sandlock -f -n '__fish_seen_subcommand_from show delete' -a '(__sandlock_profiles)'
complete -c sandlock -s h -l help -d 'show help'

function __sandlock_run
    complete -c sandlock -n __sandlock_in_run $argv
end
__sandlock_run -s p -l profile -r -a '(__sandlock_profiles)' -d 'begin with this profile'
__sandlock_run -s r -l fs-read -r -d 'let it read PATH and below'
__sandlock_run -s w -l fs-write -r -d 'let it read and write PATH and below'
__sandlock_run -l fs-deny -r -d 'keep PATH and below away'
__sandlock_run -l cwd -x -a '(__fish_complete_directories)' -d 'start in DIR'
__sandlock_run -l gpu -x -a 'all 0' -d 'let it use these GPUs'
__sandlock_run -l http-allow -x -d 'allow requests: METHOD host[:port][/path]'
__sandlock_run -l http-deny -x -d 'deny requests; wins over --http-allow'
__sandlock_run -l http-ports -x -d 'ports that speak HTTP, beside 80 and 443'
__sandlock_run -l http-port -x -d 'ports that speak HTTP, beside 80 and 443'
__sandlock_run -l http-ca -r -d 'certificate of the inspecting CA'
__sandlock_run -l http-key -r -d 'its private key'
__sandlock_run -l http-ca-out -r -d 'write the CA certificate there'
__sandlock_run -l http-upstream-ca -r -d 'believe these roots, too'
__sandlock_run -l http-no-inspect -x -a '(__fish_print_hostnames)' -d 'pass TLS to HOST through'
__sandlock_run -l resolve -x -d 'use ADDR for HOST: HOST=ADDR[:PORT]'
__sandlock_run -l net-allow -x -d 'allow [tcp://|udp://|icmp://]host[:ports] or unix:PATH'
__sandlock_run -l net-deny -x -d 'deny destinations; wins over every allow rule'
__sandlock_run -l net-allow-host -x -a '(__fish_print_hostnames)' -d 'allow NAME on any port'
__sandlock_run -l net-connect -x -d 'allow TCP connects to these ports only'
__sandlock_run -l net-bind -x -d 'allow TCP binds to these ports only'
__sandlock_run -l allow-raw-sockets -d 'do not refuse raw sockets'
__sandlock_run -l no-udp -d 'no UDP sockets'
__sandlock_run -l port-remap -d 'a port space of its own'
__sandlock_run -l isolate-ipc -d 'no abstract Unix sockets, SysV IPC or message queues of others'
__sandlock_run -l isolate-signals -d 'no signals to processes outside'
__sandlock_run -l privileged -d 'let it seem to be root, without a capability'
__sandlock_run -l uid -x -d 'let it seem to be user N'
__sandlock_run -l gid -x -d 'let it seem to be in group N'
__sandlock_run -l allow-syscalls -x -d 'allow these system calls and no others'
__sandlock_run -l deny-syscalls -x -d 'deny these system calls in place of the built-in list'
__sandlock_run -l extra-deny-syscalls -x -d 'deny these system calls beside the built-in list'
__sandlock_run -l allow-debug -d 'let debuggers, strace and leak checkers work within it'
__sandlock_run -l isolate-pids -d 'show it no processes in /proc but its own'
__sandlock_run -s P -l max-processes -x -d 'processes alive at once'
__sandlock_run -s m -l max-memory -x -d 'memory of all its processes together'
__sandlock_run -s c -l max-cpu -x -d 'processor time, percent of one core'
__sandlock_run -l max-open-files -x -d 'descriptors of each process'
__sandlock_run -l cpu-cores -x -d 'run on these cores only'
__sandlock_run -l num-cpus -x -d 'show it N processors'
__sandlock_run -s t -l timeout -x -d 'end the run after TIME'
__sandlock_run -l time-start -x -d 'start the clock at TIME'
__sandlock_run -l random-seed -x -d 'answer random bytes from this seed'
__sandlock_run -l no-randomize-memory -d 'memory at the same addresses in every run'
__sandlock_run -l no-huge-pages -d 'no transparent huge pages'
__sandlock_run -l deterministic-dirs -d 'list directories sorted by name'
__sandlock_run -l no-coredump -d 'no core files'
__sandlock_run -l clean-env -d 'pass on PATH, HOME, USER, TERM and LANG only'
__sandlock_run -l env -x -d 'set a variable: NAME=VALUE'
__sandlock_run -l name -x -d 'name of the run'
__sandlock_run -l audit -r -d 'write one JSON line for each decision'
__sandlock_run -l allow-degraded -x -a landlock -d 'start although FEATURE is missing'
__sandlock_run -s i -l interactive -d 'give the command a terminal of its own'
__sandlock_run -s e -l exec-shell -x -d 'run CMD with /bin/sh -c'
__sandlock_run -l status-fd -x -d 'write one JSON line about the end to descriptor N'
__sandlock_run -l hostname -x -d 'tell it this name of the machine'
__sandlock_run -l quiet -d 'no warnings, no summary'
__sandlock_run -l print-policy -d 'print the policy as TOML, run nothing'
__sandlock_run -l no-supervisor -d 'kernel rules alone'
__sandlock_run -a '(__fish_complete_subcommand --fcs-skip=2)'
functions -e __sandlock_run
