"""Presidio's analyzer and anonymizer over HTTP, as LiteLLM's guardrail asks them.

    presidio_server.py analyzer|anonymizer PORT

Presidio's packages carry the engines, its container images the two small servers around them; this
is those two routes, by the same engines and Flask. Waitress serves them, one of the two servers that
Presidio names, because it is one process, whose CPU time can be read. It answers one request at a
time, as the images do with their one worker. The analyzer is the shipped configuration with another
spaCy model, as `presidio_eval.py` explains.
"""

import sys

import waitress
from flask import Flask, Response, jsonify, request


def analyzer(app):
    # Sets the limits of the numeric libraries' threads before they load.
    import presidio_eval
    import tldextract.tldextract

    # The recognisers of addresses would ask the network for the list of domains; the package carries
    # one.
    own_list = tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None)
    tldextract.tldextract.TLD_EXTRACTOR = own_list

    engine, _ = presidio_eval.analyzer(organization=False)
    engine.analyze("A first text loads what is loaded late.", language="en")

    from presidio_analyzer import AnalyzerRequest

    @app.post("/analyze")
    def analyze():
        asked = AnalyzerRequest(request.get_json())
        found = engine.analyze(
            text=asked.text,
            language=asked.language,
            correlation_id=asked.correlation_id,
            score_threshold=asked.score_threshold,
            entities=asked.entities,
            return_decision_process=asked.return_decision_process,
            ad_hoc_recognizers=asked.ad_hoc_recognizers,
            context=asked.context,
        )
        hidden = ("recognition_metadata",)
        return jsonify(
            [{k: v for k, v in it.to_dict().items() if k not in hidden} for it in found]
        )


def anonymizer(app):
    from presidio_anonymizer import AnonymizerEngine
    from presidio_anonymizer.services.app_entities_convertor import AppEntitiesConvertor

    engine = AnonymizerEngine()

    @app.post("/anonymize")
    def anonymize():
        asked = request.get_json()
        operators = AppEntitiesConvertor.operators_config_from_json(asked.get("anonymizers"))
        found = AppEntitiesConvertor.analyzer_results_from_json(asked.get("analyzer_results"))
        done = engine.anonymize(
            text=asked.get("text", ""), analyzer_results=found, operators=operators
        )
        return Response(done.to_json(), mimetype="application/json")


def main():
    what, port = sys.argv[1:3]
    app = Flask("presidio")
    {"analyzer": analyzer, "anonymizer": anonymizer}[what](app)

    @app.get("/health")
    def health():
        return f"Presidio {what} service is up"

    waitress.serve(app, host="127.0.0.1", port=int(port), threads=1)


if __name__ == "__main__":
    main()
