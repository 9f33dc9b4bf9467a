# Set-up until Python is there: system packages and the venv. Sourced by the launcher, which sets
# here, cache, venv, groups, extras and yes.
#
# Etiquette: shows what it would install and how large that is, and asks; starts no service, edits
# no package source; remembers what it installed. A declined package costs only the rows that need
# it, unless it is Python.

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
    mkdir -p -- "$cache" || fail "cannot write to $cache" 2
    # One set-up at a time: a second one waits here, then finds everything there.
    exec 9>"$cache/setup.lock"
    flock 9
    python=$(find_python || :)
    set_up_packages
    [ -n "$python" ] || python=$(find_python) || fail "still no Python 3.11 with venv; see $cache/apt.log"
    make_venv "$venv" base $extras
    [ -z "$apart" ] || make_venv "$venv-$apart" "$apart"
    for group in $groups; do
        : >"$venv/ready/$group"
    done
    exec 9>&-
    printf 'nearmetal: set up in %s s (once)\n' "$(($(date +%s) - started))" >&2
}

# The first Python that is new enough and can make a venv.
find_python() {
    for name in python3 python3.14 python3.13 python3.12 python3.11; do
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
        esac
    done
}

# DPDK comes as files (files.py): installed, its libraries would bring along and start a service.
missing_files() {
    case " $groups " in
        *' dpdk '*) ;;
        *) return 0 ;;
    esac
    [ -e /usr/include/dpdk/rte_ethdev.h ] || [ -e "$cache/dpdk.wanted" ] || echo DPDK
}

has_fuzzer() {
    for file in /usr/lib/llvm-*/lib/clang/*/lib/linux/libclang_rt.fuzzer-x86_64.a; do
        [ ! -e "$file" ] || return 0
    done
    return 1
}

# libFuzzer's runtime is in a package that carries clang's version.
fuzzer_package() {
    LC_ALL=C apt-cache depends clang 2>/dev/null |
        sed -n 's/^ *Depends: clang-\([0-9]*\)$/libclang-rt-\1-dev/p'
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

set_up_packages() {
    missing=$(missing_packages | uniq_words | tr '\n' ' ')
    missing=${missing% }
    fetched=$(missing_files)
    [ -n "$missing$fetched" ] || return 0
    if ! supported; then
        [ -n "$python" ] || fail "sets itself up on Debian 12 and 13 and Ubuntu 24.04; here install Python >= 3.11 with venv and pip first" 2
        say "sets itself up on Debian 12 and 13 and Ubuntu 24.04 only; going on without: $missing $fetched
"
        return 0
    fi
    if ! known; then
        as_root_possible && apt_update
    fi
    if [ "$yes" = no ] && [ "$missing$fetched" = "$(cat -- "$cache/declined" 2>/dev/null || :)" ]; then
        return 0 # asked before; --yes changes that
    fi
    show_packages
    if [ -n "$missing" ] && ! as_root_possible; then
        cannot_install "no root rights and no sudo"
        return 0
    fi
    if ! agreed; then
        printf '%s' "$missing$fetched" >"$cache/declined"
        cannot_install "declined"
        return 0
    fi
    [ -z "$missing" ] || install_packages
    [ -z "$fetched" ] || : >"$cache/dpdk.wanted"
    rm -f -- "$cache/declined"
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
        apt-cache show --no-all-versions "$package" >/dev/null 2>&1 || return 1
    done
}

as_root_possible() {
    [ "$(id -u)" = 0 ] || command -v sudo >/dev/null
}

as_root() {
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
            echo "DPDK is not installed either: its files (some 40 MB, 200 MB unpacked) and"
        echo "memcached's, where it is missing (0.5 MB), are fetched into"
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

cannot_install() {
    [ -n "$python" ] || fail "$1: cannot go on without Python; needed: apt-get install $missing" 2
    say "$1: going on; rows that need one of these are skipped: $missing $fetched
"
}

apt_update() {
    say 'reading the package lists ... '
    since=$(date +%s)
    as_root apt-get -q update >"$cache/apt.log" 2>&1 || {
        tail -n 5 -- "$cache/apt.log" >&2
        fail "apt-get update failed; its words are above"
    }
    printf '%s s\n' "$(($(date +%s) - since))" >&2
}

install_packages() {
    installed >"$cache/packages.before"
    say 'installing system packages ... '
    since=$(date +%s)
    # The lists may be older than the archive; a second try has new ones.
    if ! apt_install; then
        apt_update
        apt_install || {
            tail -n 15 -- "$cache/apt.log" >&2
            fail "apt-get install failed; its words are above"
        }
    fi
    printf '%s s\n' "$(($(date +%s) - since))" >&2
    installed | comm -13 -- "$cache/packages.before" - >>"$cache/packages"
    rm -f -- "$cache/packages.before"
}

apt_install() {
    as_root env DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 apt-get -q -y \
        --no-install-recommends install $missing >"$cache/apt.log" 2>&1
}

installed() {
    dpkg-query -W -f '${db:Status-Abbrev} ${Package}\n' | sed -n 's/^ii *//p' | LC_ALL=C sort
}

# A venv with extras. One whose interpreter went away with a system upgrade is made anew.
make_venv() {
    folder=$1
    shift
    stamp=$folder/ready/$1
    if [ -e "$stamp" ]; then
        read -r interpreter <"$stamp"
        [ "$(readlink -f -- "$folder/bin/python")" = "$interpreter" ] || rm -rf -- "$folder"
    fi
    if [ ! -x "$folder/bin/python" ]; then
        rm -rf -- "$folder"
        "$python" -m venv -- "$folder" >&2 || fail "cannot make a Python environment in $folder"
    fi
    PYTHONPATH=$here/src "$folder/bin/python" -m nearmetal.setup.extras "$here/pyproject.toml" "$@"
}
