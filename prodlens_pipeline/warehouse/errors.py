"""The errors of this room, apart so that the command line can name them without loading DuckDB."""


class WarehouseError(Exception):
    """The warehouse cannot be used. The message says what, where and what to do."""


class NoWarehouseYetError(WarehouseError):
    """Nothing was ever collected into this warehouse."""

    def __init__(self, where: str) -> None:
        super().__init__(f"{where}: there is no warehouse yet; run 'prod-lens run' first")
