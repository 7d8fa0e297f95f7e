"""The smallest plugin: it greets, and counts how often in each context."""

from pluginsandbox.sdk import Plugin, function, slot


class Hello(Plugin):
    """Greets."""

    greeted = slot(int, default=0)

    @function
    def greet(self, name: str = "world") -> str:
        """Say hello."""
        self.greeted.set(self.greeted.get() + 1)
        return f"Hello, {name}! Greeting {self.greeted.get()} of context {self.context.id}."
