# The first part of set-up, before there is a Python: system packages and the venv. The launcher
# sources this file and sets here, cache, venv, command, groups, extras, apart and yes.
#
# Rules: show the packages to install and their size, and ask; start no service; change no package
# source; record the installed packages. A package that is declined, unknown here or fails to
# install costs only the rows that need it. Exceptions are Python, and a C compiler for commands
# that compile: set-up ends without them.

fail() {
    printf 'nearmetal: %s\n' "$1" >&2
    exit "${2:-1}"
}

say() {
    printf 'nearmetal: %s' "$1" >&2
}

set_up() {
    started=$(date +%s)
    [ "$(uname -sm)" = 'Linux x86_64' ] || fail "runs on Linux x86-64 only (this is $(uname -sm))" 2
    mkdir -p -- "$cache" && [ -w "$cache" ] || fail "cannot write to $cache" 2
    # One set-up at a time: a second one waits here, then finds nothing missing.
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

# Print the first Python that is new enough and can make a venv. The distribution's own is tried
# before others on PATH: the packages that set-up installs belong to it.
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

# Print the system packages of $groups that are missing. The check is for a file or program of the
# package, so that a compiler from another source counts too.
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
            # It depends on the firmware. Recommended packages (display, disks) are not needed.
            vm) command -v qemu-system-x86_64 >/dev/null || echo qemu-system-x86 ;;
            # Finds the files of DPDK, or of a datapath's library (fetched.py).
            dpdk | *-dev) command -v pkg-config >/dev/null || echo pkgconf ;;
            test)
                command -v clang >/dev/null || echo clang
                has_fuzzer || fuzzer_package
                ;;
            full)
                command -v debootstrap >/dev/null || echo debootstrap
                command -v git >/dev/null || echo git # each machine gets a clone
                ;;
        esac
    done
}

# DPDK is fetched as files (fetched.py): installing its libraries would also start a service.
missing_files() {
    case " $groups " in
        *' dpdk '*) ;;
        *) return 0 ;;
    esac
    [ -e /usr/include/dpdk/rte_ethdev.h ] || [ -e "$cache/dpdk.wanted" ] || echo DPDK
}

# Check for libFuzzer's runtime, in the folder where the installed clang looks for it.
has_fuzzer() {
    folder=$(clang -print-resource-dir 2>/dev/null) || return 1
    for file in "$folder"/lib/*/libclang_rt.fuzzer*.a; do
        [ ! -e "$file" ] || return 0
    done
    return 1
}

# Print the package of libFuzzer's runtime; its name has the version of the installed clang, or of
# the one that would be installed.
fuzzer_package() {
    if command -v clang >/dev/null; then
        clang --version 2>/dev/null | sed -n 's/.*clang version \([0-9]*\)\..*/libclang-rt-\1-dev/p'
    else
        LC_ALL=C apt-cache depends clang 2>/dev/null |
            sed -n 's/^ *Depends: clang-\([0-9]*\)$/libclang-rt-\1-dev/p'
    fi
}

# Remove duplicate lines: two groups may need the same package.
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
        [ -n "$python" ] || fail "set-up works on Debian 12 and 13 and Ubuntu 24.04; here install Python >= 3.11 with venv and pip first" 2
        say "set-up works on Debian 12 and 13 and Ubuntu 24.04 only; going on without: $missing $fetched
"
        return 0
    fi
    # Some package names are found in the package lists, which a fresh image does not have.
    if ! known && as_root_possible; then
        apt_update || :
        find_missing
        drop_unknown
    fi
    if [ "$yes" = no ] && [ "$missing$fetched" = "$(cat -- "$cache/declined" 2>/dev/null || :)" ]; then
        return 0 # declined before; --yes installs them
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
            cannot_install "apt-get failed (its output is above, more in $cache/apt.log)" 1
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

# Check that the package lists have every missing package. In a fresh image they may be empty.
known() {
    for package in $missing; do
        is_known "$package" || return 1
    done
}

is_known() {
    apt-cache show --no-all-versions "$1" >/dev/null 2>&1
}

# Drop packages that no package source of this machine has. Keep them if all are unknown: then the
# package lists could not be read.
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

# Run a command as root. sudo drops the proxy variables, so pass them on. LC_ALL=C: the output is
# searched for messages.
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
    # Changes nothing: apt-get answers "no" to its own question.
    sizes=$(LC_ALL=C apt-get -o Debug::NoLocking=1 -o APT::Get::Show-User-Simulation-Note=0 \
        --assume-no --no-install-recommends install $missing 2>/dev/null |
        sed -n 's/^Need to get \(.*\) of archives.*/download \1,/p
            s/^After this operation, \(.*\) of additional.*/\1 on disk/p' | tr '\n' ' ')
    {
        if [ -n "$missing" ]; then
            echo "nearmetal needs these system packages, to install with apt-get:"
            echo "    $missing"
            echo "    ${sizes:-size unknown: the package lists are empty}"
        fi
        [ -z "$fetched" ] ||
            echo "DPDK is not installed; its files (about 40 MB, 200 MB unpacked) would be fetched."
        echo "Fetched files (also memcached's and small libraries', 1 MB, where missing) are in"
        echo "    $cache"
    } >&2
}

agreed() {
    [ "$yes" = no ] || return 0
    [ -t 0 ] || [ -n "$missing" ] || return 1 # only optional files are missing
    [ -t 0 ] || fail "no terminal to ask on: give --yes to install: $missing" 2
    printf 'Install or fetch them? [y/N] ' >&2
    read -r answer || answer=n
    case $answer in
        y | Y | yes | Yes) return 0 ;;
    esac
    return 1
}

# Fail with exit code $2 if an essential package is missing; else record the declined packages.
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

# Download the package lists; fail, and print apt-get's output, unless every list could be read.
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
    # The file exists already if an earlier set-up was interrupted.
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

# Try again after a failure: finish what an interrupted dpkg left; download the lists again, which
# may be older than the archive; last, install each package alone, so that only a bad one fails.
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

# Install the packages $@; without arguments, all that are missing.
apt_install() {
    [ $# -gt 0 ] || set -- $missing
    as_root env DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 apt-get -q -y \
        -o DPkg::Lock::Timeout=120 --no-install-recommends install "$@" >"$cache/apt.log" 2>&1
}

installed() {
    dpkg-query -W -f '${db:Status-Abbrev} ${Package}\n' | sed -n 's/^ii *//p' | LC_ALL=C sort
}

# Make the venv $1 with the extras that follow. A venv that was not finished, whose pip was killed,
# or whose interpreter was removed by a system upgrade, is recreated.
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

# Go on without the extra that has a separate venv; only the command `testbed` cannot.
without_apart() {
    [ "$command" = test ] || exit 1
    say 'going on; tests that need EnOSlib are skipped
'
}
