"""What a command line runs, read from the command lines that agents write."""

import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prodlens_pipeline.traces.commands import Command, describe, describe_arguments

PYTEST = Command(program="pytest", test_framework="pytest")


def command(program: str, verb: str | None = None, framework: str | None = None) -> Command:
    return Command(program=program, verb=verb, test_framework=framework)


@pytest.mark.parametrize(
    "line",
    [
        "pytest -q tests/test_a.py",
        "cd x && pytest -q",
        "cd x && FOO=1 BAR='a b' pytest -q | tail -3",
        "source .venv/bin/activate; .venv/bin/pytest",
        "uv run pytest",
        "uv run --with xdist --frozen pytest -n 4",
        "poetry run pytest",
        "sudo -u ci pytest",
        "time pytest",
        "timeout -k 5 60 pytest",
        "env A=1 timeout 5s uv run pytest",
        "bash -lc 'cd a && pytest'",
        'bash -c "pytest -k \\"a b\\""',
        "(cd a && pytest)",
        "for i in 1 2 3; do pytest -x || break; done",
        "# don't worry\npytest",
        "cat > conftest.py <<'EOF'\nimport os; rm('it''s')\nEOF\npytest",
        'OUT=$(pytest 2>&1); echo "$OUT"',
        "git stash && pytest; git stash pop",
        "pytest > /tmp/out.txt 2>&1 &",
        "find . -name '*.py' | xargs -n 10 pytest",
    ],
)
def test_pytest_however_it_is_started(line: str) -> None:
    assert describe(line) == PYTEST


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("python -m unittest discover -s tests", command("python", "unittest", "unittest")),
        ("python3.12 -m pytest -q", command("python", "pytest", "pytest")),
        ("uv run python -W error -m pytest", command("python", "pytest", "pytest")),
        ("coverage run --source a -m pytest", command("python", "pytest", "pytest")),
        ("python -m coverage run -m unittest", command("python", "unittest", "unittest")),
        ("python manage.py test app", command("python", None, "unittest")),
        ("npx vitest run src", command("vitest", None, "vitest")),
        ("npx --yes jest --ci", command("jest", None, "jest")),
        ("pnpm exec vitest", command("vitest", None, "vitest")),
        ("node_modules/.bin/jest", command("jest", None, "jest")),
        ("yarn jest", command("yarn", "jest", "jest")),
        ("npm test -- --watch=false", command("npm", "test", "unknown")),
        ("npm --prefix web run test:unit", command("npm", "test:unit", "unknown")),
        ("go test ./... -count=1", command("go", "test", "go")),
        ("cargo +nightly test --all", command("cargo", "test", "cargo")),
        ("mvn -q -Dtest=SecretTest clean test", command("mvn", "test", "maven")),
        ("./mvnw -B clean verify", command("mvnw", "verify", "maven")),
        ("./gradlew test", command("gradlew", "test", "unknown")),
        ("make -C sub lint test", command("make", "test", "unknown")),
        ("make check", command("make", "check", "unknown")),
        ("mise run test:ci 2>&1 | tail -40", command("mise", "test:ci", "unknown")),
        ("mix test test/a_test.exs:12", command("mix", "test", "exunit")),
        ("tox -e py311", command("tox", None, "unknown")),
    ],
)
def test_runs_of_tests(line: str, expected: Command) -> None:
    assert describe(line) == expected


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('git commit -m "$(cat <<\'EOF\'\nit\'s "quoted; pytest" here\nEOF\n)"', command("git", "commit")),
        ("git -C /srv/x push --force", command("git", "push")),
        ("npm run build && node dist/server.js", command("npm", "build")),
        ("npm run check", command("npm", "check")),
        ("cargo check", command("cargo", "check")),
        ("make deploy", command("make", "deploy")),
        ("pip install pytest", command("pip", "install")),
        ("which pytest", command("which")),
        ("grep -rn 'pytest' .", command("grep")),
        ("./scripts/deploy.sh production", command("deploy.sh")),
        ("cd /tmp; ls -la", command("ls")),
        ("cd /tmp", command("cd")),
        ("$RUNNER test", command("unknown")),
        ("FOO=bar", command("unknown")),
        ("", command("unknown")),
        ("timeout 5", command("timeout")),
    ],
)
def test_other_commands(line: str, expected: Command) -> None:
    assert describe(line) == expected


def test_an_argument_list_is_read_as_its_shell_would() -> None:
    assert describe_arguments(["bash", "-lc", "cd a && pytest -q"]) == PYTEST
    assert describe_arguments(["git", "commit", "-m", "a; pytest"]) == command("git", "commit")


class TestPrivacy:
    SECRET = "hunter"  # noqa: S105 - looks like a subcommand, so only its place can give it away

    @pytest.mark.parametrize(
        "line",
        [
            "kubectl --token {} get pods",
            "docker --unheard-of {} ps",
            "uv run --unheard-of {} pytest",
            "mvn --unheard-of {} test",
            "python {} -m pytest",
            "curl -u {} https://example.com",
            "TOKEN={} ./run",
            "echo {} | vault login -",
            "cat <<EOF\n{}\nEOF",
            "cat <<EOF\n{} test\n",
            "git commit -m 'open; {}",
            'git commit -m "open; {}',
            "echo 'a' 'b; {} c",
            "mysql -p {}",
            "if true; then; {}",
        ],
    )
    def test_an_argument_is_never_kept(self, line: str) -> None:
        assert self.SECRET not in repr(describe(line.format(self.SECRET)))

    @settings(max_examples=150, deadline=None)
    @given(st.sampled_from(["curl", "python a.py", "mysql", "psql", "./x", "ls"]), st.text(max_size=60))
    def test_a_quoted_argument_is_never_kept(self, program: str, text: str) -> None:
        quoted = "'" + text.replace("'", "'\\''") + f" {self.SECRET}'"
        assert describe(f"{program} {quoted}") == describe(program)


class TestHostileInput:
    WORDS = st.sampled_from(
        [
            *("pytest", "npm", "run", "test", "cd", "uv", "timeout", "5", "sudo", "bash", "-c", "-lc", "python", "-m"),
            *("$(", ")", "`", "'", '"', ";", "&&", "|", "||", "(", "{", "}", "<<", "EOF", "#", "-", "--", "if", "then"),
            *("\n", "\\", "=", "$A", "make", "fi", "\0", "\x80"),
        ]
    )

    @settings(max_examples=200, deadline=None)
    @given(st.lists(WORDS, max_size=25).map(" ".join) | st.text(max_size=80))
    def test_it_never_raises(self, line: str) -> None:
        assert describe(line).program

    def test_any_character_at_any_place(self) -> None:
        """The grammar's scanner crashes on a character far beyond ASCII in every other process: so in several."""
        places = ["${%s}", "${#%s}", "a=(%s", "<<%s", "$%s", "${$A%s", "${a%s", "{%s..", "((%s", "%s[[", "echo '%s'"]
        lines = [place % chr(code) for code in range(0x10000, 0x110000, 0x4000) for place in places]
        script = f"from prodlens_pipeline.traces.commands import describe\nfor line in {lines!r}: describe(line)"
        processes = [subprocess.Popen([sys.executable, "-c", script]) for _ in range(6)]
        assert [process.wait() for process in processes] == [0] * 6

    def test_other_letters_are_parts_of_words(self) -> None:
        for line in ("/home/\xfc/bin/pytest -q", "bash -c 'echo \U0001f680 \xfc; pytest'", "A=\U0001f680 pytest"):
            assert describe(line) == PYTEST

    @pytest.mark.parametrize(
        "line", ["(" * 5000, "bash -c 'bash -c " * 300, "$(" * 3000 + "pytest", "\udc80", "a" * 10**6]
    )
    def test_depth_and_length_are_no_problem(self, line: str) -> None:
        assert describe(line).program
