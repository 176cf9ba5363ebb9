"""The page of the settings, from their list in the code."""

from __future__ import annotations

from typing import Final

from hive.settings import CONFIG_FILE, SETTINGS, Setting

PAGE: Final = """\
# Settings

hive reads its settings once, when a command starts: from the environment, and under it from
`{file}`. The environment wins. An empty value counts as not set. Every value is
a string, but a number may stand without quotes; a path is absolute. A value or a key that hive
does not know is refused, code [`bad-setting`](errors.md).

`HIVE_BACKEND=sim` says aloud that the host is a pretended one; hive never pretends unasked. With
the sim, each place of the host lies below `<state>/sim` unless it is set. `HIVE_REDIS_URL` is the
same for all processes of a fleet; without it workers look at the database themselves. A database
that is set is not migrated by the way, as the default one is: `hive db upgrade` does it.

| setting | key in `hive.toml` | default | what it is |
|---|---|---|---|
{rows}

Of the rest of the environment a program that hive starts gets `PATH`, `HOME`, `TZ`, `NIX_REMOTE`,
the certificates' and the proxies' variables, and nothing else.

## The file

The key is the name without its prefix, in lower case. Each of them, at its default:

```toml
{toml}
```
"""


def settings_page() -> str:
    rows = [f"| `{one.name}` | `{one.key}` | {_shown(one)} | {one.what} |" for one in SETTINGS]
    toml = [_as_toml(one) for one in SETTINGS]
    return PAGE.format(file=CONFIG_FILE, rows="\n".join(rows), toml="\n".join(toml))


def _shown(setting: Setting) -> str:
    """A default that is a value stands in backticks; one that is told in words stands as it is."""
    value = _value(setting)
    return setting.default if value is None else f"`{value}`"


def _as_toml(setting: Setting) -> str:
    value = _value(setting)
    if value is not None:
        return f'# {setting.key} = "{value}"'
    told = setting.default.replace("`", "")
    return f'# {setting.key} = ""    # not set: {told}'


def _value(setting: Setting) -> str | None:
    """The default, where it is a value that could be written down as it is."""
    value = setting.default.strip("`")
    is_words = value == "none" or any(letter in value for letter in "` <")
    return None if is_words else value
