from tests.service.conftest import folder, packages

__all__ = ["folder", "packages"]
