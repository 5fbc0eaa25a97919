"""Asks the endpoint for a prediction and looks whether the version behind it is any good."""

import sys

import workspace

WANTED = 0.9


def main() -> None:
    model, endpoint = sys.argv[1:]
    answer = workspace.post(f"/serving-endpoints/{endpoint}/invocations", {"dataframe_records": [{"amount": 980}]})
    served = answer["predictions"][0]["version"]
    found = workspace.get("mlflow/unity-catalog/model-versions/get", name=model, version=served)
    accuracy = float(found["model_version"]["description"].removeprefix("accuracy "))
    print(f"{endpoint} serves version {served}, accuracy {accuracy:.2f}")
    if accuracy < WANTED:
        raise ValueError(f"accuracy {accuracy:.2f} of version {served} is below {WANTED}")


main()
