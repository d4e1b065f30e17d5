"""What cannot be a statement of a session job, told before anything is executed; and what a script sets."""

from .errors import SqlScriptError

_NO_PART = ("delete", "update", "truncate", "call", "analyze", "compile")
# what the options of a running cluster begin with: a job cannot change them
_OF_THE_CLUSTER = (
    "blob.", "cluster.", "env.", "fs.", "high-availability", "jobmanager.", "kubernetes.", "metrics.", "pekko.",
    "process.", "resourcemanager.", "rest.", "security.", "slotmanager.", "taskmanager.", "web.",
)  # fmt: skip
_SENSITIVE = (
    "password", "secret", "fs.azure.account.key", "apikey", "api-key", "auth-params", "service-key", "token",
    "basic-auth", "jaas.config", "http-headers",
)  # fmt: skip


def prefix(number, statement):
    """How a message about a statement begins."""
    return f"statement {number} at {statement.position} ({statement.head}): "


def check(statements):
    """``SqlScriptError`` for the first statement that cannot be run."""
    if not statements:
        raise SqlScriptError("the script is empty")
    inserts = False
    for number, statement in enumerate(statements, 1):
        reason = _refusal(statement)
        if reason:
            raise SqlScriptError(prefix(number, statement) + "refused: " + reason)
        inserts |= statement.kind in ("insert", "create_as")
        if statement.kind == "statement_set":
            for inner in statement.inner:
                if inner.kind != "insert":
                    raise SqlScriptError(
                        prefix(number, inner) + "refused: only INSERT can stand in a statement set"
                    )
                inserts = True
    if not inserts:
        raise SqlScriptError("the script has no INSERT: there is no job to start")


def _refusal(statement):
    kind = statement.kind
    if kind == "select":
        return "a session job cannot show rows; write them to a table with INSERT INTO"
    if kind == "create_materialized":
        return "it starts a job of its own; write CREATE TABLE and INSERT INTO"
    if kind == "execute_plan":
        return "it starts a job of its own; write the plan's statements"
    if kind in _NO_PART:
        return f"a script can have only INSERTs in its job, no {kind.upper()}"
    if kind == "other":
        return "not a statement of a script"
    setting = statement.setting
    if kind == "set" and setting and setting.key == "table.dml-sync" and setting.value.lower() != "false":
        return "the script runs in the JobManager and must not wait for its job"
    return None


def warning(statement):
    """What is most likely not meant by a SET, but can be done; None if nothing."""
    setting = statement.setting
    if setting and setting.value is not None and setting.key.startswith(_OF_THE_CLUSTER):
        return f"{setting.key} is an option of the cluster: a job cannot change it"
    return None


class Settings(dict):
    """What the script has set so far by SET and not taken back by RESET."""

    def apply(self, statement):
        setting = statement.setting
        if setting is None:
            if statement.kind == "reset":
                self.clear()
        elif setting.value is None:
            self.pop(setting.key, None)
        else:
            self[setting.key] = setting.value

    def listed(self):
        """What is set, one line each; the values of passwords and keys are hidden."""
        shown = [(k, "******" if any(s in k.lower() for s in _SENSITIVE) else v) for k, v in self.items()]
        return "\n".join(f"'{key}' = '{value}'" for key, value in shown) or "nothing is set"
