# Set-up until Python is there: system packages and the venv. Sourced by the launcher, which sets
# here, cache, venv, command, groups, extras, apart and yes.
#
# Etiquette: shows what it would install and how large that is, and asks; starts no service, edits
# no package source; remembers what it installed. A package that is declined, unknown here or does
# not install costs only the rows that need it, unless nothing works without it: Python, and for
# what is compiled a C compiler.

fail() {
    printf 'nearmetal: %s\n' "$1" >&2
    exit "${2:-1}"
}

say() {
    printf 'nearmetal: %s' "$1" >&2
}

set_up() {
    started=$(date +%s)
    [ "$(uname -sm)" = 'Linux x86_64' ] || fail "runs on Linux on x86-64 only (this is $(uname -sm))" 2
    mkdir -p -- "$cache" && [ -w "$cache" ] || fail "cannot write to $cache" 2
    # One set-up at a time: a second one waits here, then finds everything there.
    exec 9>"$cache/setup.lock"
    flock 9
    python=$(find_python || :)
    set_up_packages
    [ -n "$python" ] || python=$(find_python) || fail "still no Python 3.11 with venv; see $cache/apt.log"
    make_venv "$venv" base $extras
    [ -z "$apart" ] || make_venv "$venv-$apart" "$apart" || without_apart
    for group in $groups; do
        : >"$venv/ready/$group"
    done
    exec 9>&-
    printf 'nearmetal: set up in %s s (once)\n' "$(($(date +%s) - started))" >&2
}

# The first Python that is new enough and can make a venv. The distribution's own comes before
# others on PATH: the packages that we install are made for it.
find_python() {
    case ":$PATH:" in
        *:/usr/bin:*) first_python /usr/bin/python3 && return 0 ;;
    esac
    first_python python3 python3.14 python3.13 python3.12 python3.11
}

first_python() {
    for name in "$@"; do
        command -v "$name" >/dev/null || continue
        "$name" -c 'import sys, ensurepip, venv
if sys.version_info < (3, 11): sys.exit(1)
print(sys.executable)' 2>/dev/null && return 0
    done
    return 1
}

# The system packages that are missing for our groups. Each is known by what it brings, so that a
# compiler from elsewhere counts too.
missing_packages() {
    for group in $groups; do
        case $group in
            python) [ -n "$python" ] || echo python3-venv ;;
            build)
                command -v gcc >/dev/null || echo gcc
                [ -e /usr/include/stdio.h ] || echo libc6-dev
                ;;
            bpf)
                command -v pkg-config >/dev/null || echo pkgconf
                [ -e /usr/include/bpf/libbpf.h ] || echo libbpf-dev
                command -v bpf-gcc >/dev/null || echo gcc-bpf
                ;;
            ssh) command -v ssh >/dev/null || echo openssh-client ;;
            # Firmware comes along. No recommended package: neither a display nor disks are needed.
            vm) command -v qemu-system-x86_64 >/dev/null || echo qemu-system-x86 ;;
            dpdk) command -v pkg-config >/dev/null || echo pkgconf ;; # finds the files
            test)
                command -v clang >/dev/null || echo clang
                has_fuzzer || fuzzer_package
                ;;
            # A datapath's library, as its package has it: spec/datapaths.
            *-dev)
                command -v pkg-config >/dev/null || echo pkgconf
                pkg-config --exists "$(library_of "$group")" 2>/dev/null || echo "$group"
                ;;
            full)
                command -v debootstrap >/dev/null || echo debootstrap
                command -v git >/dev/null || echo git # each machine gets a clone
                ;;
        esac
    done
}

# The library, as pkg-config calls it, of the datapath that wants a group.
library_of() {
    while read -r name level turn nic places library wanted knobs; do
        [ "$wanted" != "$1" ] || printf '%s' "$library"
    done <"$here/src/nearmetal/spec/datapaths"
}

# DPDK comes as files (fetched.py): installed, its libraries would bring along and start a service.
missing_files() {
    case " $groups " in
        *' dpdk '*) ;;
        *) return 0 ;;
    esac
    [ -e /usr/include/dpdk/rte_ethdev.h ] || [ -e "$cache/dpdk.wanted" ] || echo DPDK
}

# libFuzzer's runtime, where the clang that is there looks for it.
has_fuzzer() {
    folder=$(clang -print-resource-dir 2>/dev/null) || return 1
    for file in "$folder"/lib/*/libclang_rt.fuzzer*.a; do
        [ ! -e "$file" ] || return 0
    done
    return 1
}

# It is in a package that carries clang's version: of the one that is there, or would come.
fuzzer_package() {
    if command -v clang >/dev/null; then
        clang --version 2>/dev/null | sed -n 's/.*clang version \([0-9]*\)\..*/libclang-rt-\1-dev/p'
    else
        LC_ALL=C apt-cache depends clang 2>/dev/null |
            sed -n 's/^ *Depends: clang-\([0-9]*\)$/libclang-rt-\1-dev/p'
    fi
}

# Two groups may want the same package.
uniq_words() {
    words=' '
    while read -r word; do
        case $words in
            *" $word "*) ;;
            *) words="$words$word " && echo "$word" ;;
        esac
    done
}

find_missing() {
    missing=$(missing_packages | uniq_words | tr '\n' ' ')
    missing=${missing% }
    fetched=$(missing_files)
}

set_up_packages() {
    find_missing
    [ -n "$missing$fetched" ] || return 0
    if ! supported; then
        [ -n "$python" ] || fail "sets itself up on Debian 12 and 13 and Ubuntu 24.04; here install Python >= 3.11 with venv and pip first" 2
        say "sets itself up on Debian 12 and 13 and Ubuntu 24.04 only; going on without: $missing $fetched
"
        return 0
    fi
    # The names of some packages are in the package lists, which a fresh image does not have.
    if ! known && as_root_possible; then
        apt_update || :
        find_missing
        drop_unknown
    fi
    if [ "$yes" = no ] && [ "$missing$fetched" = "$(cat -- "$cache/declined" 2>/dev/null || :)" ]; then
        return 0 # asked before; --yes changes that
    fi
    [ -n "$missing$fetched" ] || return 0
    show_packages
    if [ -n "$missing" ] && ! as_root_possible; then
        cannot_install 'no root rights and no sudo' 2
    elif ! agreed; then
        cannot_install declined 2
    else
        [ -z "$fetched" ] || : >"$cache/dpdk.wanted"
        if [ -z "$missing" ] || install_packages; then
            rm -f -- "$cache/declined"
        else
            [ -n "$python" ] || python=$(find_python || :)
            find_missing
            cannot_install "apt-get failed (its words are above, more in $cache/apt.log)" 1
        fi
    fi
}

supported() {
    command -v apt-get >/dev/null || return 1
    case $(. /etc/os-release && printf '%s %s' "${ID:-}" "${VERSION_ID:-}") in
        'debian 12' | 'debian 13' | 'ubuntu 24.04') return 0 ;;
    esac
    return 1
}

# Does the package manager know every missing package? In a fresh image its lists may be empty.
known() {
    for package in $missing; do
        is_known "$package" || return 1
    done
}

is_known() {
    apt-cache show --no-all-versions "$1" >/dev/null 2>&1
}

# What no package source of this machine has is done without; if that is all, none could be read.
drop_unknown() {
    kept=
    unknown=
    for package in $missing; do
        if is_known "$package"; then kept="$kept $package"; else unknown="$unknown $package"; fi
    done
    [ -n "$kept" ] && [ -n "$unknown" ] || return 0
    missing=${kept# }
    say "no package source of this machine has$unknown: going on without
"
}

as_root_possible() {
    [ "$(id -u)" = 0 ] || command -v sudo >/dev/null
}

# sudo forgets the proxies. What is said is read by us.
as_root() {
    for name in http_proxy https_proxy ftp_proxy all_proxy no_proxy; do
        eval "value=\${$name:-}"
        [ -z "$value" ] || set -- "$name=$value" "$@"
    done
    set -- env LC_ALL=C "$@"
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif [ -t 0 ]; then
        sudo "$@"
    else
        sudo -n "$@"
    fi
}

show_packages() {
    # Nothing is changed by this: it is the answer "no" to apt-get's own question.
    sizes=$(LC_ALL=C apt-get -o Debug::NoLocking=1 -o APT::Get::Show-User-Simulation-Note=0 \
        --assume-no --no-install-recommends install $missing 2>/dev/null |
        sed -n 's/^Need to get \(.*\) of archives.*/download \1,/p
            s/^After this operation, \(.*\) of additional.*/\1 on disk/p' | tr '\n' ' ')
    {
        if [ -n "$missing" ]; then
            echo "nearmetal needs system packages, to be installed by apt-get:"
            echo "    $missing"
            echo "    ${sizes:-size unknown: the package lists are empty}"
        fi
        [ -z "$fetched" ] ||
            echo "DPDK is not installed either: its files (some 40 MB, 200 MB unpacked) are fetched."
        echo "Files that are fetched (memcached's, where it is missing: 0.5 MB) lie in"
        echo "    $cache"
    } >&2
}

agreed() {
    [ "$yes" = no ] || return 0
    [ -t 0 ] || [ -n "$missing" ] || return 1 # nothing that we cannot do without
    [ -t 0 ] || fail "no terminal to ask on: say --yes to install: $missing" 2
    printf 'Install or fetch them? [y/N] ' >&2
    read -r answer || answer=n
    case $answer in
        y | Y | yes | Yes) return 0 ;;
    esac
    return 1
}

# Ends where nothing works without what is missing ($2: the exit code), else remembers and goes on.
cannot_install() {
    lacking=
    case " $missing " in
        *' python3-venv '*) lacking=Python ;;
        *' gcc '* | *' libc6-dev '*) lacking='a C compiler' ;;
    esac
    [ -z "$lacking" ] || fail "$1: cannot go on without $lacking; needed: apt-get install $missing" "$2"
    printf '%s' "$missing$fetched" >"$cache/declined"
    say "$1: going on; rows that need one of these are skipped: $missing $fetched
"
}

# Fails, with apt-get's words, unless every list could be read.
apt_update() {
    say 'reading the package lists ... '
    since=$(date +%s)
    if as_root apt-get -q update >"$cache/apt.log" 2>&1 && ! grep -q '^[EW]: Failed' "$cache/apt.log"; then
        printf '%s s\n' "$(($(date +%s) - since))" >&2
        return 0
    fi
    echo 'apt-get update failed:' >&2
    tail -n 5 -- "$cache/apt.log" >&2
    return 1
}

install_packages() {
    # It is there already where an earlier set-up was interrupted.
    [ -e "$cache/packages.before" ] || installed >"$cache/packages.before"
    say 'installing system packages ... '
    since=$(date +%s)
    done=no
    if apt_install; then
        printf '%s s\n' "$(($(date +%s) - since))" >&2
        done=yes
    else
        echo 'apt-get install failed:' >&2
        tail -n 15 -- "$cache/apt.log" >&2
        ! again || done=yes
    fi
    installed | comm -13 -- "$cache/packages.before" - >>"$cache/packages"
    rm -f -- "$cache/packages.before"
    [ "$done" = yes ]
}

# After a failure: what an interrupted dpkg left is finished; lists that may be older than the
# archive are read anew; last, each package on its own, so that a bad one costs only itself.
again() {
    if grep -q 'dpkg was interrupted' "$cache/apt.log"; then
        say 'finishing what an interrupted dpkg left (dpkg --configure -a)
'
        as_root env DEBIAN_FRONTEND=noninteractive dpkg --configure -a >"$cache/apt.log" 2>&1 || {
            tail -n 15 -- "$cache/apt.log" >&2
            return 1
        }
        ! apt_install || return 0
    fi
    apt_update || return 1
    ! apt_install || return 0
    tail -n 15 -- "$cache/apt.log" >&2
    for package in $missing; do
        apt_install "$package" || :
    done
    return 1
}

# $@: these packages; without, all that are missing.
apt_install() {
    [ $# -gt 0 ] || set -- $missing
    as_root env DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 apt-get -q -y \
        -o DPkg::Lock::Timeout=120 --no-install-recommends install "$@" >"$cache/apt.log" 2>&1
}

installed() {
    dpkg-query -W -f '${db:Status-Abbrev} ${Package}\n' | sed -n 's/^ii *//p' | LC_ALL=C sort
}

# A venv with extras. One that was not finished, or whose pip was killed, or whose interpreter went
# away with a system upgrade, is made anew.
make_venv() {
    folder=$1
    shift
    interpreter=
    [ ! -e "$folder/ready/$1" ] || read -r interpreter <"$folder/ready/$1" || :
    if [ -z "$interpreter" ] || [ -e "$folder/ready/unfinished" ] ||
        [ "$(readlink -f -- "$folder/bin/python")" != "$interpreter" ]; then
        rm -rf -- "$folder"
        "$python" -m venv -- "$folder" >&2 || fail "cannot make a Python environment in $folder"
    fi
    PYTHONPATH=$here/src "$folder/bin/python" -m nearmetal.build.extras "$here/pyproject.toml" "$@"
}

# Only `testbed` cannot do without what has an environment of its own.
without_apart() {
    [ "$command" = test ] || exit 1
    say 'going on; tests that need EnOSlib are skipped
'
}
