"""Server-sent events: one JSON object an event."""

import json
from collections.abc import AsyncIterator
from typing import Any

from fastapi.responses import StreamingResponse


def stream(events: AsyncIterator[dict[str, Any]]) -> StreamingResponse:
    """The answer that a browser's `EventSource` follows."""

    async def lines() -> AsyncIterator[str]:
        async for event in events:
            yield f"data: {json.dumps(event)}\n\n"

    return StreamingResponse(lines(), media_type="text/event-stream", headers={"Cache-Control": "no-store"})
