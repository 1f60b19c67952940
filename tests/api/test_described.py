"""Every operation of this API is described: a typed response, an example of it, and a call that gives such an answer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from regulars.base import clock
from regulars.clients.models import Client
from regulars.events.record import record
from regulars.questions.save import save_question
from regulars.serving.api_urls import api
from regulars.usecases.lake import fill_lake
from regulars.usecases.restrict import restrict
from regulars.usecases.users import UserPatch, update_user
from regulars.usecases.write_values import by_app
from tests.api.test_questions import token_of
from tests.questions.conftest import LOOKING_FOR

OWN = ("/api/regulars/v1/", "/api/me/")
PAGE = (Path(__file__).parents[2] / "docs/developer/regulars-api.md").read_text()
DESCRIBED = api.get_openapi_schema(path_prefix="/api/")
OPERATIONS = [
    (method.upper(), path)
    for path, methods in sorted(DESCRIBED["paths"].items())
    for method in sorted(methods)
    if path.startswith(OWN)
]


def operation(method: str, path: str) -> dict[str, Any]:
    found: dict[str, Any] = DESCRIBED["paths"][path][method.lower()]
    return found


def resolved(schema: dict[str, Any]) -> dict[str, Any]:
    name = schema.get("$ref", "").rpartition("/")[2]
    return DESCRIBED["components"]["schemas"][name] if name else schema


def example_of(schema: dict[str, Any]) -> Any:
    if schema.get("type") == "array":
        return [example_of(schema["items"])]
    (example,) = resolved(schema)["examples"]
    return example


def response_schema(method: str, path: str) -> dict[str, Any]:
    schema: dict[str, Any] = operation(method, path)["responses"][200]["content"]["application/json"]["schema"]
    return schema


def model_of(method: str, path: str) -> TypeAdapter[Any]:
    """The type that answers of this operation are checked against."""
    for prefix, router in api._routers:
        for part, view in router.path_operations.items():
            if f"/api{prefix}{part}".replace("{path:", "{") == path:
                one = next(each for each in view.operations if method in each.methods)
                return TypeAdapter(one.response_models[200].model_fields["response"].annotation)
    raise LookupError(path)


def shape(value: Any) -> Any:
    """Keys of objects, all the way down; what is not an object or a list is only there or null."""
    match value:
        case dict():
            return {key: shape(each) for key, each in value.items()}
        case list():
            return [shape(value[0])] if value else []
    return None if value is None else "value"


def has_shape(value: Any, example: Any) -> bool:
    match value, example:
        case dict(), dict():
            return value.keys() == example.keys() and all(has_shape(value[key], example[key]) for key in value)
        case [first, *_], [other, *_]:
            return has_shape(first, other)
        case list(), list():
            return True
    return value is None or example is None or not isinstance(value, dict | list)


def test_own_operations_are_those_that_are_known():
    assert len(OPERATIONS) == 15


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_response_is_typed_and_has_a_valid_example(method, path):
    schema = response_schema(method, path)
    example = example_of(schema)

    assert resolved(schema.get("items", schema)).get("properties"), schema
    model_of(method, path).validate_python(example)
    assert operation(method, path)["summary"]


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_operation_is_on_the_page(method, path):
    assert f"`{method} {path}`" in PAGE


@pytest.fixture
def world(client, standard_setup, chika, lake):
    """A customer with a fact, an event and a segment, and a question for them."""
    Client.objects.create(client_id="shop", name="Shop")
    update_user(chika, UserPatch(metadata={"user_metadata": {"size": "M"}}), by_app("shop"))
    context, message = {"page": {"path": "/jackets"}}, {"anonymousId": "a-1"}
    record(chika.pk, "Product Viewed", {"sku": "jacket-7"}, at=clock.now(), type="track", message_id="msg-1",
           source=None, context=context, message=message, received_at=clock.now())  # fmt: skip
    save_question(LOOKING_FOR)
    fill_lake({})
    return client


def made(world: Any, api_client: Any, chika: Any, method: str, path: str, body: Any) -> Any:
    """The answer to the documented request."""
    if path.startswith("/api/me/"):
        headers = {"Authorization": f"Bearer {token_of(chika)}"}

        def post(where: str, data: Any) -> Any:
            sent = json.dumps(data or {}).encode()
            return world.generic("POST", where, sent, content_type="application/json", headers=headers)

        if "{number}" in path:
            question = post("/api/me/question", {}).json()["question"]
            path = path.replace("{number}", str(question["id"]))
            body = {**body, "notice": question["use"]["notice"]} if body else body
        return post(path, body)
    segment = example_of({"$ref": "#/components/schemas/SegmentBody"})
    if "segments" in path and (method, path) != ("POST", "/api/regulars/v1/segments"):
        assert api_client.call("POST", "/regulars/v1/segments", {**segment, "text": "user_metadata.size:M", "purpose": "message"}).status_code == 200  # fmt: skip
    if path.endswith("/lifting"):
        restrict(chika, "profile")
    path = path.replace("{user_id}", chika.user_id.replace("|", "%7C"))
    return api_client.call(method, path.replace("{slug}", segment["slug"]).removeprefix("/api"), body)


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_documented_request_gives_an_answer_like_the_example(world, api_client, chika, method, path):
    sent = operation(method, path).get("requestBody")
    body = example_of(sent["content"]["application/json"]["schema"]) if sent else None
    if path.endswith("/consents/import"):
        body["decisions"][0]["user_id"] = chika.user_id
    answer = made(world, api_client, chika, method, path, body)

    assert answer.status_code == 200, answer.content
    model_of(method, path).validate_python(answer.json())
    example = example_of(response_schema(method, path))
    if path == "/api/regulars/v1/segments" and method == "GET":  # which states there are depends on the customers
        example[0]["members"] = answer.json()[0]["members"]
    assert has_shape(answer.json(), example), (shape(answer.json()), shape(example))
