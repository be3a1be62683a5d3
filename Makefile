# hauberk's front door. `sudo make guard` guards this host, `sudo make check` runs every test.
# Both install the Debian packages they need (packages/*) when root, and say which when not.

.POSIX:
SHELL = /bin/sh
DESTDIR =
PREFIX = /usr
RELEASE = build/release
CHECK = build/check
MESON_OPTIONS =
DEB_VERSION =

# As root, everything is built as whoever owns the checkout, so that nothing of root's is left in it.
OWNER = $$(stat -c %u .)
GROUP = $$(stat -c %g .)
AS_OWNER = if [ "$$(id -u)" = 0 ] && [ "$(OWNER)" != 0 ]; then \
	as_owner() { setpriv --reuid="$(OWNER)" --regid="$(GROUP)" --clear-groups -- "$$@"; }; \
	else as_owner() { "$$@"; }; fi

all: build

help:
	@echo "sudo make guard   build and guard this host in the foreground; Ctrl-C lifts everything"
	@echo "sudo make check   build with sanitizers and run every test"
	@echo "make build        build only"
	@echo "make deb          a Debian package for this release, in build/deb"
	@echo "make install      DESTDIR=… PREFIX=/usr"
	@echo "make soak         the long tests: the package, every service attacked, a thousand kills"
	@echo "make bench        measure, and score decisions on labelled traffic"

packages-build:
	@tools/packages packages/build

packages-deb:
	@tools/packages packages/build packages/deb

packages-check:
	@tools/packages packages/build packages/check

packages-soak:
	@tools/packages packages/build packages/check packages/soak

$(RELEASE)/build.ninja: packages-build
	@$(AS_OWNER); [ -f $@ ] || as_owner meson setup $(RELEASE) --buildtype=debugoptimized \
		-Doptimization=2 -Dtests=false --prefix=$(PREFIX) $(MESON_OPTIONS) >/dev/null

build: $(RELEASE)/build.ninja
	@$(AS_OWNER); meson introspect --buildoptions $(RELEASE) | grep -q '"value": "$(PREFIX)"' || \
		as_owner meson configure $(RELEASE) --prefix=$(PREFIX); \
		as_owner ninja --quiet -C $(RELEASE)

install: build
	@DESTDIR="$(DESTDIR)" meson install -C $(RELEASE) --no-rebuild

deb: packages-deb
	@$(AS_OWNER); DEB_VERSION="$(DEB_VERSION)" as_owner tools/deb

guard: build
	@tools/guard $(RELEASE)

$(CHECK)/build.ninja: packages-check
	@$(AS_OWNER); [ -f $@ ] || as_owner meson setup $(CHECK) --buildtype=debug -Doptimization=1 \
		-Db_sanitize=address,undefined -Db_lundef=false -Dwerror=true $(MESON_OPTIONS) >/dev/null

build-check: $(CHECK)/build.ninja
	@$(AS_OWNER); as_owner ninja --quiet -C $(CHECK)

check: build build-check
	@tests/run $(CHECK) $(RELEASE)

# What takes too long for every change: the Debian package's life and every service of a whole mail
# server attacked, every rule of the audit broken and five old guides followed, on both releases, and
# a thousand kills.
soak: packages-soak build build-check
	@HAUBERK_KILLS=1000 tests/run $(CHECK) $(RELEASE) package whole audit audit-long guides dns page tls tls-long system

# The same tree with the other compiler; warnings are errors. Used by .ci/run.
build-clang: packages-check
	@$(AS_OWNER); [ -f build/clang/build.ninja ] || as_owner env CC=clang meson setup \
		build/clang -Dwerror=true $(MESON_OPTIONS) >/dev/null; as_owner ninja --quiet -C build/clang

bench: build
	@bench/run $(RELEASE)
	@bench/bans $(RELEASE)
	@bench/score $(RELEASE) --fail2ban

clean:
	@rm -rf build

.PHONY: all help soak packages-build packages-deb packages-check packages-soak build install deb guard \
	build-check check build-clang bench clean
