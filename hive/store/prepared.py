"""Statements that every job needs: put into a database's words once, and sent to its driver as is.

SQLAlchemy looks each of them up anew for every execution, and makes a result of many parts: for
what reads and writes one row that takes longer than the row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NoReturn, cast
from weakref import WeakKeyDictionary

from sqlalchemy import ColumnElement, Connection, Dialect, Executable
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.sql.elements import ClauseElement
from sqlalchemy.types import TypeEngine

if TYPE_CHECKING:
    from hive.store.pipe import Pipe

Process = Callable[[Any], Any]
Bound = Mapping[str, Any]
Row = tuple[Any, ...]
Found = list[Row]

PIPES: Final = "postgresql"
"""The dialect of whose statements many go out at once."""
PIPE: Final = "hive.pipe"


class Prepared:
    """A statement of the core, and the columns that it gives back, in their order."""

    def __init__(self, statement: Executable, columns: Sequence[ColumnElement[Any]] = ()) -> None:
        self._statement = cast(ClauseElement, statement)
        self._columns = columns
        self._in: WeakKeyDictionary[Dialect, _Words] = WeakKeyDictionary()

    def of(self, dialect: Dialect) -> _Words:
        words = self._in.get(dialect)
        if words is None:
            words = self._in[dialect] = self._compiled(dialect)
        return words

    def _compiled(self, dialect: Dialect) -> _Words:
        compiled: Any = self._statement.compile(dialect=dialect)
        if compiled.post_compile_params or compiled.literal_execute_params:
            raise ValueError(f"is put into words anew for each execution: {compiled.string}")
        binds = {name: bind for bind, name in compiled.bind_names.items()}
        into = {name: to for name, bind in binds.items() if (to := _into(bind.type, dialect))}
        given = [(name, bind.value) for name, bind in binds.items() if not bind.required]
        return _Words(
            sql=compiled.string,
            given={name: into[name](value) if name in into else value for name, value in given},
            order=tuple(compiled.positiontup) if compiled.positional else None,
            into=into,
            out_of=tuple(_out_of(column.type, dialect) for column in self._columns),
            command=self._command(dialect) if dialect.name == PIPES else None,
        )

    def _command(self, dialect: Dialect) -> _Command:
        """The names are those of the other compilation: both come from the statement."""
        numbers: Any = type(dialect)
        compiled: Any = self._statement.compile(dialect=numbers(paramstyle="numeric_dollar"))
        return _Command(compiled.string.encode(), tuple(compiled.positiontup))


@dataclass(frozen=True, slots=True)
class _Command:
    """A statement as a server takes it: its parameters are numbered."""

    sql: bytes
    order: tuple[str, ...]

    def of(self, params: Bound) -> tuple[bytes, list[Any]]:
        return self.sql, [params[name] for name in self.order]


@dataclass(frozen=True, slots=True)
class _Words:
    """A statement as its driver takes it."""

    sql: str
    given: Bound  #: what is always so
    order: tuple[str, ...] | None  #: of the parameters, where they have no names
    into: Mapping[str, Process]
    out_of: tuple[Process | None, ...]
    command: _Command | None

    def params(self, bound: Bound) -> Any:  # noqa: ANN401 - what the driver takes
        given = dict(self.given)
        for name, value in bound.items():
            process = self.into.get(name)
            given[name] = value if process is None else process(value)
        return given if self.order is None else tuple([given[name] for name in self.order])

    def rows(self, found: Sequence[Row]) -> Found:
        if not self.out_of:
            return []
        return [
            tuple(
                [
                    value if process is None else process(value)
                    for value, process in zip(row, self.out_of, strict=True)
                ]
            )
            for row in found
        ]


Asked = tuple[Prepared, Bound]


def send(connection: Connection, *asked: Asked) -> list[Found]:
    """The rows of each; on PostgreSQL they go there in one go.

    Raises what SQLAlchemy raises. What is sent behind one that fails is not done.
    """
    if not connection.in_transaction():
        connection.begin()  # as SQLAlchemy does, where it is asked
    with _guarded(connection):
        if _pipes(connection):
            return _piped(connection, asked, _pipe(connection).send)
        return [_sent(connection, *one) for one in asked]


def send_alone(connection: Connection, *asked: Asked) -> list[Found]:
    """The rows of each; together they are a transaction. On PostgreSQL only.

    Raises as `send`; then nothing of it is so, but where the connection was lost meanwhile.
    """
    with _guarded(connection):
        return _piped(connection, asked, _pipe(connection).send_alone)


def commit(connection: Connection, *asked: Asked) -> None:
    """These go out with the commit; nothing of them can be read."""
    try:
        with _guarded(connection):
            if asked and _pipes(connection):
                _piped(connection, asked, partial(_pipe(connection).send, commits=True))
            elif asked:
                send(connection, *asked)
            connection.commit()  # which knows where it is done already
    except BaseException:
        with suppress(SQLAlchemyError):  # it takes a failed commit for the end of it all
            connection.rollback()
        raise


def _sent(connection: Connection, statement: Prepared, bound: Bound) -> Found:
    words = statement.of(connection.dialect)
    params = words.params(bound)
    with closing(_driver(connection).cursor()) as cursor:
        for told in connection.dispatch.before_cursor_execute:
            told(connection, cursor, words.sql, params, None, False)
        cursor.execute(words.sql, params)
        return words.rows(cursor.fetchall()) if words.out_of else []


def _piped(
    connection: Connection, asked: Sequence[Asked], send: Callable[..., list[Found]]
) -> list[Found]:
    words = [statement.of(connection.dialect) for statement, _ in asked]
    params = [one.params(bound) for one, (_, bound) in zip(words, asked, strict=True)]
    for told in connection.dispatch.before_cursor_execute:
        for one, given in zip(words, params, strict=True):
            told(connection, None, one.sql, given, None, False)
    commands = [
        one.command.of(given) for one, given in zip(words, params, strict=True) if one.command
    ]
    return [one.rows(rows) for one, rows in zip(words, send(*commands), strict=True)]


def _pipes(connection: Connection) -> bool:
    """Told by its name: who works on SQLite is spared psycopg, which is large."""
    return connection.dialect.name == PIPES


def _pipe(connection: Connection) -> Pipe:
    """It is there as long as its connection."""
    pipe: Pipe | None = connection.info.get(PIPE)
    if pipe is None:
        from hive.store.pipe import Pipe

        pipe = connection.info[PIPE] = Pipe(_driver(connection))
    return pipe


def _driver(connection: Connection) -> Any:  # noqa: ANN401 - of any driver
    return connection.connection.driver_connection


@contextmanager
def _guarded(connection: Connection) -> Iterator[None]:
    """A connection that is broken, or was interrupted, is used by nobody any more."""
    try:
        yield
    except connection.dialect.loaded_dbapi.Error as error:
        _failed(connection, error)
    except DBAPIError:
        if not connection.invalidated and _is_stuck(connection):
            connection.invalidate()
        raise
    except BaseException:
        if not connection.invalidated:
            connection.invalidate()
        raise


def _failed(connection: Connection, error: Any) -> NoReturn:  # noqa: ANN401 - of any driver
    dialect = connection.dialect
    is_gone = dialect.is_disconnect(error, _driver(connection), None) or _is_stuck(connection)
    if is_gone:
        connection.invalidate(error)
    raise DBAPIError.instance(
        None, None, error, dialect.loaded_dbapi.Error, connection_invalidated=is_gone,
        dialect=dialect,
    ) from error  # fmt: skip


def _is_stuck(connection: Connection) -> bool:
    """A server that ends a session in the middle of a pipeline leaves the driver in it."""
    return _pipes(connection) and bool(_driver(connection).pgconn.pipeline_status)  # 0 is off


def _into(kind: TypeEngine[Any], dialect: Dialect) -> Process | None:
    return kind.dialect_impl(dialect).bind_processor(dialect)


def _out_of(kind: TypeEngine[Any], dialect: Dialect) -> Process | None:
    return kind.dialect_impl(dialect).result_processor(dialect, None)
