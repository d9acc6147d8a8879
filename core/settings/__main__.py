"""`python -m core.settings` prints .env.example."""

from core.settings.rows import env_example

if __name__ == "__main__":
    print(env_example(), end="")
