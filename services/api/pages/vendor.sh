#!/bin/sh
# Re-fetches the browser bundles of static/vendor from npm, byte for byte, builds the editor's, and writes LICENSES.md.
#   ./vendor.sh            fetch, then compare with static/vendor/SHA256SUMS (the default: nothing may change)
#   ./vendor.sh --update   fetch, then rewrite SHA256SUMS (after a version below was raised)
# The editor is built by the esbuild that editor/package-lock.json pins, so that it comes out the same again; to raise
# its packages, change editor/package.json, run `npm install --package-lock-only` there, and raise its version.
# Needs npm, node, tar and sha256sum. File names carry the version: raise it here, in templates/_assets.html, openapi.html, base.html and css/base.css.
set -eu

mode=${1-}
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
vendor="$here/static/vendor"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# npm name | version | licence | file inside the package | our file name
files='
vega|6.4.0|BSD-3-Clause|build/vega.min.js|vega-6.4.0.min.js
vega-lite|6.5.0|BSD-3-Clause|build/vega-lite.min.js|vega-lite-6.5.0.min.js
vega-embed|7.3.0|BSD-3-Clause|build/vega-embed.min.js|vega-embed-7.3.0.min.js
swagger-ui-dist|5.35.0|Apache-2.0|swagger-ui-bundle.js|swagger-ui-5.35.0.js
swagger-ui-dist|5.35.0|Apache-2.0|swagger-ui.css|swagger-ui-5.35.0.css
@fontsource-variable/inter|5.3.0|OFL-1.1|files/inter-latin-wght-normal.woff2|inter-latin-5.3.0.woff2
@fontsource-variable/inter|5.3.0|OFL-1.1|files/inter-latin-ext-wght-normal.woff2|inter-latin-ext-5.3.0.woff2
'

unpack() { # unpack <npm name> <version>: prints the folder
    folder="$work/$(printf %s "$1-$2" | tr '@/' '__')"
    if [ ! -d "$folder" ]; then
        mkdir "$folder"
        tarball=$(cd "$work" && npm pack --silent "$1@$2")
        tar -xzf "$work/$tarball" -C "$folder" --strip-components=1
    fi
    printf %s "$folder"
}

licence() { # licence <folder>: its licence text, and the notices of what a bundle contains
    cat "$1/LICENSE"
    for notice in "$1"/NOTICE "$1"/swagger-ui-bundle.js.LICENSE.txt; do
        if [ -f "$notice" ]; then printf '\n'; cat "$notice"; fi
    done
}

entry() { # entry <name> <version> <licence> <folder>: opens a package's part of LICENSES.md
    printf '\n## %s %s\n\nnpm: `%s@%s` · licence: %s\n\n' "$1" "$2" "$1" "$2" "$3"
    printf '```text\n'
    licence "$4" | sed 's/[[:space:]]*$//'
    printf '```\n\n'
}

editor() { # builds the editor's bundle, and tells of each package in it
    build="$work/editor"
    cp -r "$here/editor" "$build"
    (cd "$build" && npm ci --silent --ignore-scripts --no-audit --no-fund)
    version=$(node -p "require('$build/package.json').version")
    ours="codemirror-$version.js"
    (cd "$build" && node_modules/.bin/esbuild index.js --bundle --minify --format=esm --target=es2022 --charset=utf8 \
        --legal-comments=none --log-level=warning --outfile="$vendor/$ours")
    chmod 644 "$vendor/$ours"
    (cd "$vendor" && sha256sum "$ours") >> "$sums"
    for folder in "$build"/node_modules/@codemirror/* "$build"/node_modules/@lezer/* "$build"/node_modules/@marijn/* \
        "$build"/node_modules/crelt "$build"/node_modules/style-mod "$build"/node_modules/w3c-keyname; do
        set -- $(node -p "const p = require('$folder/package.json'); [p.name, p.version, p.license].join(' ')")
        entry "$1" "$2" "$3" "$folder" >> "$page"
        printf -- '- part of `%s`\n' "$ours" >> "$page"
    done
    printf '\n`%s` sha256 `%s`\n' "$ours" "$(sha256sum "$vendor/$ours" | cut -d' ' -f1)" >> "$page"
}

mkdir -p "$vendor"
sums="$work/SHA256SUMS"
page="$work/LICENSES.md"
cat > "$page" <<'EOF'
# Licences of the vendored browser bundles

Written by `services/api/pages/vendor.sh`; do not edit. The files are the packages' own, byte for byte, save the
editor's, which is built from the packages that `editor/package-lock.json` pins.
`vega-embed` bundles vega-interpreter (BSD-3-Clause, the same authors), which evaluates Vega's
expressions without `eval`, and fast-json-patch (MIT), semver and json-stringify-pretty-compact.
EOF

previous=''
printf '%s\n' "$files" | while IFS='|' read -r name version spdx inside ours; do
    [ -n "$name" ] || continue
    folder=$(unpack "$name" "$version")
    cp "$folder/$inside" "$vendor/$ours"
    chmod 644 "$vendor/$ours"
    (cd "$vendor" && sha256sum "$ours") >> "$sums"
    if [ "$name" != "$previous" ]; then
        entry "$name" "$version" "$spdx" "$folder" >> "$page"
        previous=$name
    fi
    printf -- '- `%s` sha256 `%s`\n' "$ours" "$(sha256sum "$vendor/$ours" | cut -d' ' -f1)" >> "$page"
done
editor

if [ "$mode" = --update ]; then
    cp "$sums" "$vendor/SHA256SUMS"
else
    cmp "$sums" "$vendor/SHA256SUMS" || { echo 'the bundles differ from SHA256SUMS' >&2; exit 1; }
fi
cp "$page" "$vendor/LICENSES.md"
echo "static/vendor holds $(wc -l < "$sums") files, all as expected"
