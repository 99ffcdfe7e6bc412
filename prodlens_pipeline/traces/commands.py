"""What a shell command line runs, without what it runs it on.

Belongs here: the program, its subcommand and the test framework behind a command line. Does not: its output.
Arguments may hold secrets and code, so a word is kept only where it stands as a program's name or in the place of a
subcommand; wherever that is not certain, nothing is kept.
"""

import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import tree_sitter_bash
from tree_sitter import Language, Node, Parser, Tree

UNKNOWN = "unknown"
_LONGEST = 2**18
_DEEPEST_SHELL = 3
_OPAQUE = "\0"
"""Stands for an argument that is put together when it runs."""
_PROGRAM = re.compile(r"[A-Za-z][A-Za-z0-9_.+-]{0,39}")
_VERB = re.compile(r"[a-z]+(?:[:._-][a-z0-9]+){0,4}")
_LONGEST_VERB = 40
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=.*", re.DOTALL)
_TEST_TASK = re.compile(r"tests?(?:[:._-].*)?|.*[:._-]tests?", re.DOTALL)

_BASH = Language(tree_sitter_bash.language())
_ASCII_ONLY = bytes(range(128)) + b"." * 128
"""Each byte of another character becomes one that is part of a word, and of no name."""
_SUBSTITUTIONS = frozenset({"command_substitution", "process_substitution"})


def _words_of(text: str) -> frozenset[str]:
    return frozenset(text.split())


_SETUP = _words_of(
    ". : [ alias cd echo export local popd printf pushd set shopt sleep source test trap true ulimit umask unset wait"
)
_SHELLS = frozenset({"bash", "dash", "ksh", "sh", "zsh"})
_PYTHON = re.compile(r"(?:python|pypy)[0-9.]*")


@dataclass(frozen=True)
class _Options:
    """The options that may stand before a subcommand: those that take the next word, and plain flags."""

    valued: frozenset[str] = frozenset()
    flags: frozenset[str] = frozenset()


def _options(valued: str = "", flags: str = "") -> _Options:
    return _Options(_words_of(valued), _words_of(flags))


_WRAPPERS = {
    # The words after these and their options are a command line of their own.
    "command": _options(flags="-p"),
    "env": _options("-u -C --chdir --unset", "-i - --ignore-environment"),
    "exec": _options("-a", "-c -l"),
    "nice": _options("-n --adjustment"),
    "nohup": _options(),
    "stdbuf": _options("-i -o -e"),
    "sudo": _options("-u -g -h -p -C -D", "-E -H -n -S -b -i -k -s"),
    "time": _options("-f -o --format --output", "-p -v -a"),
    "timeout": _options("-k -s --kill-after --signal", "-v --foreground --preserve-status --verbose"),
    "xargs": _options("-n -I -P -L -d -s -a", "-0 -r -t --null --no-run-if-empty"),
}
_RUNNERS = {
    # (program, subcommand): a tool's own launcher, followed by a command line.
    ("bundle", "exec"): _options(),
    ("bunx", None): _options(flags="--bun"),
    ("coverage", "run"): _options("--source --omit --include --rcfile --data-file", "-a -p --append --branch"),
    ("hatch", "run"): _options(),
    ("mise", "exec"): _options(),
    ("mise", "x"): _options(),
    ("npm", "exec"): _options("-p --package", "-y --yes"),
    ("npx", None): _options("-p --package", "-y --yes --no --no-install -q --quiet"),
    ("pdm", "run"): _options(),
    ("pipenv", "run"): _options(),
    ("pipx", "run"): _options("--spec"),
    ("pnpm", "dlx"): _options(),
    ("pnpm", "exec"): _options(flags="-r --recursive"),
    ("poetry", "run"): _options(),
    ("rye", "run"): _options(),
    ("uv", "run"): _options(
        "--with --extra --group --python -p --env-file --directory --project --package --with-editable --only-group",
        "-q --quiet -v --verbose --frozen --locked --no-sync --no-project --isolated --all-extras --all-groups "
        "--no-dev --offline --active --exact --no-cache --all-packages",
    ),
    ("uvx", None): _options("--from --with --python -p", "-q --quiet"),
    ("yarn", "dlx"): _options(),
    ("yarn", "exec"): _options(),
}
_SUBCOMMANDS = {
    # Programs whose first plain word names what they do.
    **dict.fromkeys(
        _words_of(
            "apt apt-get brew bundle conda coverage deno docker-compose dotnet flutter gcloud gh go hatch helm mix pdm "
            "pip pip3 pipenv podman poetry pre-commit rails react-scripts ruff rustup rye swift systemctl terraform"
        ),
        _options(),
    ),
    "aws": _options("--profile --region --output"),
    "bun": _options("--cwd --filter", "--silent"),
    "cargo": _options("--manifest-path -C", "-q --quiet -v --verbose --locked --offline"),
    "docker": _options("-c --context -H --host"),
    "git": _options("-C -c --git-dir --work-tree", "--no-pager -P --no-optional-locks"),
    "kubectl": _options("-n --namespace --context --kubeconfig"),
    "mise": _options("-C --cd", "-q --quiet -v --verbose -y --yes"),
    "npm": _options("--prefix -C -w --workspace", "-s --silent -ws --workspaces --if-present"),
    "pnpm": _options("-C --dir --filter -F", "-r --recursive -w --workspace-root -s --silent"),
    "uv": _options("--directory --project", "-q --quiet -v --verbose"),
    "yarn": _options("--cwd", "-s --silent"),
}
_TASK_RUNNERS = {
    # Programs that take several targets or goals at once.
    "gradle": UNKNOWN,
    "gradlew": UNKNOWN,
    "just": UNKNOWN,
    "make": UNKNOWN,
    "gmake": UNKNOWN,
    "mvn": "maven",
    "mvnw": "maven",
    "nx": UNKNOWN,
    "rake": UNKNOWN,
    "task": UNKNOWN,
    "turbo": UNKNOWN,
}
_TASK_OPTIONS = _options(
    "-C -f -p -pl -P -T --directory --file --projects -d --dir --justfile",
    "-q -B -o -U -ntp -am -k -i -e -X -s -j --quiet --batch-mode --offline --no-transfer-progress --silent "
    "--no-daemon --info --stacktrace --continue",
)
_SCRIPT_RUNNERS = frozenset({"bun", "deno", "mise", "npm", "pnpm", "yarn"})
"""Programs with a `run` subcommand for the scripts of a project."""
_OWN_TESTS = {
    ("cargo", "t"): "cargo",
    ("cargo", "test"): "cargo",
    ("dotnet", "test"): UNKNOWN,
    ("flutter", "test"): UNKNOWN,
    ("go", "test"): "go",
    ("mix", "test"): "exunit",
    ("gmake", "check"): UNKNOWN,
    ("make", "check"): UNKNOWN,
    ("mvn", "verify"): "maven",
    ("mvnw", "verify"): "maven",
    ("npm", "t"): UNKNOWN,
    ("react-scripts", "test"): "jest",
    ("swift", "test"): UNKNOWN,
}
_TEST_PROGRAMS = {
    "gotestsum": "go",
    "jest": "jest",
    "nox": UNKNOWN,
    "py.test": "pytest",
    "pytest": "pytest",
    "tox": UNKNOWN,
    "unittest": "unittest",
    "vitest": "vitest",
}


@dataclass(frozen=True)
class Command:
    """What a command line runs. `program` is `'unknown'` where no word is certain to be one; `verb` its subcommand.

    `test_framework` is set where tests are run: `'unknown'` where the command does not say by what (`make test`).
    """

    program: str
    verb: str | None = None
    test_framework: str | None = None


def describe(command: str) -> Command:
    """What `command` runs: the run of tests in it if there is any, else its first program that is no mere setting-up.

    Never raises: what cannot be read as shell is `Command("unknown")`.
    """
    return _describe(command, _DEEPEST_SHELL)


def describe_arguments(arguments: Sequence[str]) -> Command:
    """The same for a command that is already split into words, as a program's argument list."""
    return describe(shlex.join(arguments))


def _describe(command: str, shells_left: int) -> Command:
    direct: list[Command] = []
    for words, substituted in _simple_commands(command):
        run = _described(words, shells_left)
        if run.test_framework:
            return run
        if not substituted:
            direct.append(run)
    main = next((run for run in direct if run.program not in _SETUP), None)
    return main or (direct[0] if direct else Command(program=UNKNOWN))


def _simple_commands(command: str) -> Iterator[tuple[list[str], bool]]:
    """Every simple command before the first syntax error: its words, and whether its output replaces a word."""
    source = command[:_LONGEST].replace("\0", "").encode("utf-8", "replace")
    # The grammar asks C what class a character is of, which for an emoji reads outside of C's tables, and may crash.
    tree = Parser(_BASH).parse(source.translate(_ASCII_ONLY))
    end = _first_error(tree, len(source))
    waiting = [(tree.root_node, False)]
    while waiting:
        node, substituted = waiting.pop()
        substituted = substituted or node.type in _SUBSTITUTIONS
        if node.type == "command" and node.end_byte <= end:
            yield [_text(word, source) for word in _words(node)], substituted
        waiting += [(child, substituted) for child in reversed(node.named_children)]


def _first_error(tree: Tree, end: int) -> int:
    """Where the first syntax error begins; what follows may be data that only looks like commands."""
    waiting = [tree.root_node]
    while waiting:
        node = waiting.pop()
        if node.is_error or node.is_missing:
            end = min(end, node.start_byte)
        elif node.has_error:
            waiting += node.children
    return end


def _words(command: Node) -> Iterator[Node]:
    name = command.child_by_field_name("name")
    if name is not None:
        yield from name.named_children
        yield from command.children_by_field_name("argument")


def _text(word: Node, source: bytes) -> str:
    """The word as the shell would pass it, where it holds nothing to expand."""
    text = source[word.start_byte : word.end_byte].decode("utf-8", "replace")
    if word.type in ("word", "number"):
        return text.replace("\\\n", "").replace("\\", "")
    if word.type == "raw_string":
        return text[1:-1]
    if word.type == "string" and all(part.type == "string_content" for part in word.named_children):
        return re.sub(r'\\([$`"\\])', r"\1", text[1:-1])
    return _OPAQUE


def _described(words: list[str], shells_left: int) -> Command:
    words = _unwrapped(words)
    if not words:
        return Command(program=UNKNOWN)
    program = _program(words[0])
    script = _shell_script(program, words[1:])
    if script is not None and shells_left:
        return _describe(script, shells_left - 1)
    if _PYTHON.fullmatch(program):
        return _python(words[1:])
    verb = _task(program, words[1:]) if program in _TASK_RUNNERS else _subcommand(program, words[1:])
    return Command(program=program, verb=verb, test_framework=_framework(program, verb))


def _unwrapped(words: list[str]) -> list[str]:
    """The command line within wrappers and launchers, such as `timeout 60 uv run`."""
    while words:
        program = _program(words[0])
        if program in _WRAPPERS:
            inner = _after_options(words[1:], _WRAPPERS[program])
            inner = inner and inner[1:] if program == "timeout" else inner
        else:
            inner = _launched(program, words[1:])
        if not inner:
            return words
        words = inner
    return words


def _launched(program: str, arguments: list[str]) -> list[str] | None:
    if (program, None) in _RUNNERS:
        return _after_options(arguments, _RUNNERS[program, None])
    verb = _subcommand(program, arguments)
    if (program, verb) not in _RUNNERS:
        return None
    inner = _after_options(arguments[arguments.index(verb or "") + 1 :], _RUNNERS[program, verb])
    return ["python", *inner] if inner and inner[0] == "-m" else inner


def _after_options(arguments: list[str], options: _Options) -> list[str] | None:
    """The words after the options and assignments; None where an option is not known, for it may take the next one."""
    position = 0
    while position < len(arguments):
        word = arguments[position]
        if word == "--":
            return arguments[position + 1 :]
        if word in options.valued:
            position += 2
        elif word in options.flags or _ASSIGNMENT.fullmatch(word) or _is_closed_option(word):
            position += 1
        else:
            return None if word.startswith("-") and word != "-m" else arguments[position:]
    return []


def _is_closed_option(word: str) -> bool:
    """An option that holds its value, such as `--jobs=4`, `-j4` or `-Dtest=A`; or cargo's `+nightly`."""
    return bool(re.fullmatch(r"--[\w-]+=.*|-[a-zA-Z]\d+|-D.+|\+\w+", word, re.DOTALL))


def _program(word: str) -> str:
    name = re.split(r"[/\\]", word)[-1].removesuffix(".exe").removesuffix(".cmd")
    return name if name in _SETUP or _PROGRAM.fullmatch(name) else UNKNOWN


def _shell_script(program: str, arguments: list[str]) -> str | None:
    """The text that `bash -lc` runs."""
    if program not in _SHELLS:
        return None
    for option, script in pairwise(arguments):
        if re.fullmatch(r"-[a-z]*c", option):
            return None if script == _OPAQUE else script
        if not option.startswith("-"):
            return None
    return None


def _python(arguments: list[str]) -> Command:
    """`python -m module` by its module; of `manage.py test`, that it runs Django's tests. Nothing of other scripts."""
    words = _after_options(arguments, _options("-W -X", "-B -u -s -S -E -I -O -OO -v")) or []
    if words[:1] == ["-m"] and len(words) > 1:
        module = words[1]
        if module == "coverage":
            inner = _launched("coverage", words[2:])
            return _python(inner[1:]) if inner and inner[0] == "python" else Command(program="python", verb=module)
        return Command(program="python", verb=_verb(module), test_framework=_TEST_PROGRAMS.get(module))
    if len(words) > 1 and words[0].split("/")[-1] == "manage.py" and words[1] == "test":
        return Command(program="python", test_framework="unittest")
    return Command(program="python")


def _subcommand(program: str, arguments: list[str]) -> str | None:
    if program not in _SUBCOMMANDS:
        return None
    words = _after_options(arguments, _SUBCOMMANDS[program])
    if not words:
        return None
    runs_script = program in _SCRIPT_RUNNERS and words[0] in ("run", "run-script") and len(words) > 1
    return _verb(words[1]) if runs_script else _verb(words[0])


def _task(program: str, arguments: list[str]) -> str | None:
    """The target that runs tests if one does, else the first."""
    verbs = [_verb(word) for word in _after_options(arguments, _TASK_OPTIONS) or []]
    return next((verb for verb in verbs if _framework(program, verb)), verbs[0] if verbs else None)


def _verb(word: str) -> str | None:
    return word if len(word) <= _LONGEST_VERB and _VERB.fullmatch(word) else None


def _framework(program: str, verb: str | None) -> str | None:
    if program in _TEST_PROGRAMS:
        return _TEST_PROGRAMS[program]
    if verb is None:
        return None
    if (program, verb) in _OWN_TESTS:
        return _OWN_TESTS[program, verb]
    if program in _TASK_RUNNERS and _TEST_TASK.fullmatch(verb):
        return _TASK_RUNNERS[program]
    if program in _SCRIPT_RUNNERS:
        return _TEST_PROGRAMS.get(verb) or (UNKNOWN if _TEST_TASK.fullmatch(verb) else None)
    return None
