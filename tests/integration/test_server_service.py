"""A service beyond its answers: documents, languages, keys, limits, what is counted and logged, who leaves."""

from __future__ import annotations

import asyncio
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from served import MODEL, Served, served

import nmt
from nmt.server.keys import new_key, write_keys
from nmt.server.options import Limits, ServeOptions
from nmt.server.protocol import GONE
from nmt.server.registry import Lease, Models
from nmt.server.running import listen

QUIET = ServeOptions(log=False, page=False, threads=1)


@pytest.fixture(scope="module")
def service() -> Iterator[Served]:
    with served() as it:
        yield it


def test_languages_that_nobody_says(service: Served) -> None:
    one = service.translate("red dog", source="auto").json()
    assert one["detectedLanguage"]["language"] == "en"
    assert 0 < one["detectedLanguage"]["confidence"] <= 100
    assert one["translatedText"] == service.translate("red dog").json()["translatedText"]
    several = service.translate(["red dog", "1 2 3", ""], source="auto").json()
    assert [each["language"] for each in several["detectedLanguage"]] == ["en"] * 3
    nothing = service.translate("1 2 3", source="auto").json()
    assert nothing["detectedLanguage"] == {"language": "en", "confidence": 0.0}
    for how in ({"json": {"q": "the old dog"}}, {"data": {"q": "the old dog"}}):
        assert service.ask("POST", "/detect", **how).json()[0]["language"] == "en"
    assert service.ask("POST", "/detect", json={"q": "1 2"}).json() == []
    assert service.ask("POST", "/detect", json={}).json() == {"error": "Invalid request: missing q parameter"}


def test_details_and_markup(service: Served) -> None:
    plain = service.translate("red dog\n\nthe small cat.", details=True).json()
    first, second = plain["details"]
    assert (first["source"], second["source"]) == ("red dog", "the small cat.")
    assert plain["translatedText"] == f"{first['text']}\n\n{second['text']}"
    assert first["status"] in ("ok", "doubtful", "retried", "failed")
    assert first["alignment"] is not None
    html = service.translate("<p>red <b>dog</b></p><script>a < b</script>", format="html").json()["translatedText"]
    assert re.fullmatch(r"<p>.*<b>.*</b>.*</p><script>a < b</script>", html)
    for wrong in ({"details": 3}, {"format": 3}, {"glossary": 3}):
        assert service.translate("red", **wrong).status_code == 400


def test_documents(service: Served) -> None:
    def send(name: str, content: bytes, **more: str) -> httpx.Response:
        fields = {"source": "en", "target": "tgt", **more}
        return service.ask("POST", "/translate_file", data=fields, files={"file": (name, content)})

    answer = send("../a b\u00e9.txt", b"red dog\n\none\n").json()
    assert sum(answer["statuses"].values()) == 2
    found = service.ask("GET", answer["translatedFileUrl"])
    red, one = nmt.Translator.load(MODEL).translate(["red dog", "one"])
    assert found.text == f"{red}\n\n{one}\n"
    assert found.headers["content-disposition"] == (
        "attachment; filename=\"a_b_.tgt.txt\"; filename*=UTF-8''a%20b%C3%A9.tgt.txt"
    )
    assert service.ask("GET", "/download_file/nothing").status_code == 404
    told = send("a.txt", b"The red dog sees an old cat, and so do I.", source="auto").json()
    assert told["detectedLanguage"]["language"] == "en"
    assert sum(told["statuses"].values()) == 1
    for done, message in (
        (send("a.exe", b"x"), "Invalid request: file format not supported"),
        (send("a.docx", b"PK\x03\x04 no"), "Invalid request: "),
        (send("a.txt", b"x", source=""), "Invalid request: missing source parameter"),
        (send("a.txt", b"x", source="auto", target="xx"), "xx is not supported"),
        (send("a.txt", b"x", target="en"), "en is the language of the file already"),
        (service.ask("POST", "/translate_file", data={"source": "en"}), "Invalid request: missing file parameter"),
        (service.ask("POST", "/translate_file", json={"file": "x"}), "Invalid request: missing file parameter"),
    ):
        assert done.status_code == 400, done.text
        assert done.json()["error"].startswith(message)


def test_what_a_page_and_an_operator_see(service: Served) -> None:
    settings = service.ask("GET", "/frontend/settings").json()
    assert settings["charLimit"] == Limits().characters
    assert settings["language"]["target"] == {"code": "tgt", "name": "tgt"}
    assert {".txt", ".docx"} <= set(settings["supportedFilesFormat"])
    assert not settings["apiKeys"]
    assert service.ask("GET", "/").headers["content-type"].startswith("text/html")
    assert service.ask("POST", "/suggest", json={"q": "a", "s": "b"}).status_code == 403
    spec = service.ask("GET", "/spec").json()
    assert spec["info"]["version"] == nmt.__version__
    assert {"/translate", "/detect", "/languages", "/translate_file", "/health"} <= spec["paths"].keys()
    body = spec["paths"]["/translate"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert body["required"] == ["q", "source", "target"]
    for _ in range(3):
        service.translate("one")
    service.ask("GET", "/secret-path")
    numbers = service.ask("GET", "/metrics").text
    assert re.search(r'nmt_requests_total\{route="/translate",status="200"\} [0-9.]+', numbers)
    assert 'route="other",status="404"' in numbers
    assert "secret" not in numbers
    assert "nmt_lines_waiting 0.0" in numbers


def test_keys_and_requests_a_minute(tmp_path: Path) -> None:
    (given, key), (busy, limited) = new_key("a", None), new_key("b", 2)
    write_keys(path := tmp_path / "keys.toml", [key, limited])
    with served(replace(QUIET, keys=path, limits=Limits(requests=3))) as service:
        assert service.translate("one").status_code == 400
        assert service.translate("one", api_key="x").json() == {"error": "Invalid API key"}
        assert service.translate("one", api_key=given + "x").status_code == 403
        assert service.translate("one", api_key=given).status_code == 200
        bearer = {"authorization": f"Bearer {given}"}
        assert service.ask("POST", "/detect", json={"q": "one"}, headers=bearer).status_code == 200
        assert [service.translate("one", api_key=busy).status_code for _ in range(3)] == [200, 200, 429]
        refused = service.translate("one", api_key=busy)
        assert refused.json()["error"].startswith("Slowdown: ")
        assert 0 < int(refused.headers["retry-after"]) <= 60
        settings = service.ask("GET", "/frontend/settings").json()
        assert (settings["apiKeys"], settings["keyRequired"]) == (True, True)
        write_keys(path, [])
        service.run(service.app.reload())
        assert service.translate("one", api_key=given).status_code == 403
        path.write_text("[")
        service.run(service.app.reload())  # is told, and changes nothing
        assert service.translate("one", api_key=given).status_code == 403
    write_keys(path, [key])
    optional = replace(QUIET, keys=path, keys_optional=True, limits=Limits(requests=2))
    with served(optional) as service:
        assert service.translate("one", api_key="x").status_code == 403
        assert [service.translate("one").status_code for _ in range(4)] == [200, 200, 429, 429]
        assert service.ask("GET", "/languages").status_code == 200


def test_other_origins_only_if_asked(service: Served) -> None:
    origin = {"origin": "https://a.example"}
    assert "access-control-allow-origin" not in service.ask("GET", "/languages", headers=origin).headers
    with served(replace(QUIET, origins=("https://a.example",), metrics=False)) as other:
        answer = other.ask("GET", "/languages", headers=origin)
        assert answer.headers["access-control-allow-origin"] == "https://a.example"
        assert other.ask("GET", "/").status_code == 404
        assert other.ask("GET", "/metrics").status_code == 404


def test_the_log_holds_no_text(capfd: pytest.CaptureFixture[str]) -> None:
    with served(replace(QUIET, log=True)) as service:
        service.translate("secretword", api_key="secretkey")
        service.translate({"secret": 1})
        service.ask("GET", "/secret?secret=secret", headers={"x": "secret"})
        service.app.log.defect(ValueError("secret"))
    lines = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    assert "secret" not in str(lines)
    requests = [(each["route"], each["status"]) for each in lines if each["event"] == "request"]
    assert requests == [("/translate", 200), ("/translate", 400), ("other", 404)]
    assert [each["event"] for each in lines if each["event"] != "request"] == ["started", "defect", "stopped"]


class Held(Models):
    """Models that translate when they are let."""

    def __init__(self, places: list[Path]) -> None:
        super().__init__(places)
        self.let, self.begun = threading.Event(), threading.Event()

    @contextmanager
    def use(self, source: str, target: str) -> Iterator[Lease]:
        """Wait, and take the model."""
        self.begun.set()
        assert self.let.wait(10)
        with super().use(source, target) as lease:
            yield lease


def request_for(text: str) -> dict[str, object]:
    return {"method": "POST", "url": "/translate", "json": {"q": text, "source": "en", "target": "tgt"}}


def test_too_much_at_a_time_is_refused_and_nothing_lost() -> None:
    models = Held([MODEL])
    with served(replace(QUIET, limits=Limits(queue=2)), models=models) as service:

        async def ask() -> list[int]:
            first = asyncio.ensure_future(service.client.request(**request_for("one")))
            await asyncio.to_thread(models.begun.wait, 10)  # the worker has it
            others = [asyncio.ensure_future(service.client.request(**request_for("two"))) for _ in range(5)]
            done, waiting = await asyncio.wait(others, timeout=0.2)
            refused = [each.result() for each in done]
            assert all(each.headers["retry-after"] == "1" for each in refused)
            models.let.set()
            return sorted(each.status_code for each in [*refused, await first, *await asyncio.gather(*waiting)])

        assert service.run(ask()) == [200, 200, 200, 503, 503, 503]


def test_what_takes_too_long_is_given_up() -> None:
    models = Held([MODEL])
    with served(replace(QUIET, limits=Limits(seconds=0.05)), models=models) as service:
        [late, later] = service.together(request_for("one"), request_for("two"))
        assert (late.status_code, later.status_code) == (504, 504)
        assert late.json() == {"error": "Not translated within 0.05 seconds"}
        translating = service.app.fastapi.state.context.service.translating
        assert (translating.waiting, translating.requests) == (0, 0)
        models.let.set()


def test_who_leaves_takes_the_lines_along() -> None:
    models = Held([MODEL])
    with served(QUIET, models=models) as service:
        translating = service.app.fastapi.state.context.service.translating

        async def ask() -> None:
            first = asyncio.ensure_future(service.client.request(**request_for("one")))
            await asyncio.to_thread(models.begun.wait, 10)
            scope = {
                "type": "http", "method": "GET", "path": "/translate", "headers": [], "client": None,
                "query_string": b"q=two%0Athree&source=en&target=tgt",
            }  # fmt: skip

            async def receive() -> dict[str, object]:
                return {"type": "http.request"}

            async def send(message: object) -> None:
                pass

            leaving = asyncio.ensure_future(service.app(scope, receive, send))
            while translating.waiting != 2:
                await asyncio.sleep(0)
            scope[GONE]()
            await asyncio.wait([leaving])
            assert (translating.waiting, translating.requests) == (0, 1)
            models.let.set()
            assert (await first).status_code == 200

        service.run(ask())


def test_a_model_that_fails_is_an_error_of_its_request(monkeypatch: pytest.MonkeyPatch) -> None:
    with served(QUIET) as service:
        monkeypatch.setattr(Models, "use", lambda *arguments: 1 / 0)
        answer = service.translate("one")
        assert (answer.status_code, list(answer.json())) == (500, ["error"])
        monkeypatch.undo()
        assert service.translate("one").status_code == 200


def test_files_that_change_are_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nmt.server.app.LOOK_AGAIN", 0.01)
    (folder := tmp_path / "models").mkdir()
    (folder / "a.nmt").write_bytes(MODEL.read_bytes())
    with served(QUIET, folder) as service:

        async def answers_with(status: int) -> None:
            while (await service.client.request(**request_for("red dog"))).status_code != status:
                await asyncio.sleep(0.01)

        service.run(answers_with(200))
        (folder / "a.nmt").rename(folder / "gone")
        (folder / "gone").rename(tmp_path / "a.nmt")
        service.run(asyncio.wait_for(answers_with(400), 30))
        (tmp_path / "a.nmt").rename(folder / "b.nmt")
        service.run(asyncio.wait_for(answers_with(200), 30))


def test_reloading_loses_no_request(tmp_path: Path) -> None:
    (folder := tmp_path / "models").mkdir()
    (folder / "a.nmt").write_bytes(MODEL.read_bytes())
    with served(QUIET, folder) as service:

        async def ask() -> list[httpx.Response]:
            running = [asyncio.ensure_future(service.client.request(**request_for("red dog"))) for _ in range(40)]
            for _ in range(5):
                (folder / "new").write_bytes(MODEL.read_bytes())
                (folder / "new").replace(folder / "a.nmt")
                await service.app.reload()
            return await asyncio.gather(*running)

        answers = service.run(ask())
        assert {each.status_code for each in answers} == {200}
        assert len({each.text for each in answers}) == 1
        (folder / "a.nmt").unlink()
        service.run(service.app.reload())
        assert service.translate("red dog").json() == {"error": "en is not supported"}


def test_under_a_path_of_a_proxy_and_with_metrics_apart() -> None:
    with listen("127.0.0.1", 0) as probe:
        port = probe.getsockname()[1]
    with served(ServeOptions(log=False, root_path="/nmt", metrics_at=("127.0.0.1", port))) as service:
        done = service.ask(
            "POST", "/translate_file", data={"source": "en", "target": "tgt"}, files={"file": ("a.txt", b"red dog")}
        )
        assert done.json()["translatedFileUrl"].startswith("http://service/nmt/download_file/")
        assert service.ask("GET", "/spec").json()["servers"] == [{"url": "/nmt"}]
        assert service.ask("GET", "/metrics").status_code == 404
        page = httpx.get(f"http://127.0.0.1:{port}/metrics").text
        assert "nmt_documents 0.0" in page
        assert "nmt_document_lines_left 0.0" in page
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"http://127.0.0.1:{port}/metrics")
