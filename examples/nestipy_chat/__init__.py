"""A chat in Nestipy: gateway, guard, DTOs, a controller that pushes, a stream.

    hypercorn --worker-class trio examples.nestipy_chat.app:app
    hypercorn --worker-class asyncio examples.nestipy_chat.app:app

Then open http://127.0.0.1:8000/?name=Ann.
"""
