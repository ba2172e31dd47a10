# SPDX-License-Identifier: Apache-2.0
#
# Section "Entities" of PROTOCOL.md is what daybook-entities prints. To renew it: cut the document
# behind the line that the section begins with and append the output of the program.
set -eu

document="$DAYBOOK_SOURCE_DIR/engine/protocol/PROTOCOL.md"
program="$DAYBOOK_BUILD_DIR/daybook-entities"
work=$(mktemp -d "${TMPDIR:-/tmp}/daybook-entities.XXXXXX")
trap 'rm -rf "$work"' EXIT

if [ ! -x "$program" ]; then
    echo "daybook-entities is not built"
    exit 1
fi
"$program" >"$work/printed"
sed -n '/^### Fields of every entity$/,$p' "$document" >"$work/documented"
if ! diff -u "$work/documented" "$work/printed"; then
    echo "PROTOCOL.md, section 19, is not what daybook-entities prints"
    exit 1
fi
echo "section 19 has $(wc -l <"$work/printed") lines, as printed"
