#!/bin/sh
exec /bin/registry "$@"
