#!/bin/sh
# What `meson dist` puts into an archive depends on the commit alone: all of it is as old as that.
# meson runs this, with $MESON_DIST_ROOT and $MESON_PROJECT_SOURCE_ROOT set.
set -eu

moment=$(git -C "$MESON_PROJECT_SOURCE_ROOT" log -1 --format=%cI)
find "$MESON_DIST_ROOT" -exec touch -h -d "$moment" {} +
