"""What an application demands of a login."""

import pytest


@pytest.mark.parametrize(
    ("change", "explanation"),
    [
        ({"acr_values": "gold"}, ".acr_values: input should be a valid array"),
        ({"acr_values": ["gold silver"]}, ": acr_values: 'gold silver' is not an acr value"),
        ({"acr_values": ['"']}, ": acr_values: '\"' is not an acr value"),
        ({"acr_values": [""]}, ": acr_values: '' is not an acr value"),
        ({"max_age": "soon"}, ".max_age: a duration is a number of seconds"),
        (
            {"max_age": 0},
            ": max_age is whole seconds, 1m or more; to have users sign in again at each login set",
        ),
        ({"max_age": 90.5}, ": max_age is whole seconds, 1m or more"),
        ({"prompt": "none"}, ": prompt: none lets the provider ask nothing, so no user could"),
        ({"prompt": "login none"}, ": prompt: none lets the provider ask nothing"),
        ({"prompt": "logn"}, ": prompt: 'logn' is not one or several"),
        ({"prompt": ""}, ": prompt: '' is not one or several"),
        ({"prompt": "login login"}, ": prompt: 'login login' is not one or several"),
        (
            {"exclude": True, "provider": None, "max_age": "1h"},
            ": exclude: true goes with none of acr_values, max_age, prompt, authorization_params",
        ),
    ],
)
def test_a_wrong_demand_on_logins_is_explained_in_one_line(fault, change, explanation):
    assert f": applications.app{explanation}" in fault({"applications": {"app": change}})


@pytest.mark.parametrize(
    "name",
    [
        "client_id",
        "redirect_uri",
        "state",
        "nonce",
        "code_challenge",
        "code_challenge_method",
        "response_type",
        "response_mode",
        "scope",
        "request",
        "request_uri",
        "acr_values",
        "max_age",
        "prompt",
        "State",
    ],
)
def test_a_parameter_that_the_processor_sets_cannot_be_added(fault, name):
    line = fault({"applications": {"app": {"authorization_params": {name: "x"}}}})
    assert f": applications.app: authorization_params: {name} is set by the processor" in line
    has_key = name in ("acr_values", "max_age", "prompt")
    assert line.endswith(" (it has a key of its own)") is has_key


@pytest.mark.parametrize(
    ("parameters", "explanation"),
    [
        ({"max_age": "5"}, ": authorization_params: max_age is set by the processor (it has"),
        ({"a b": "x"}, ": authorization_params: 'a b' is not the name of a parameter"),
        ({"a": ""}, ": authorization_params.a is printable text"),
        ({"a": "x\r\ny"}, ": authorization_params.a is printable text"),
        ({"a": 5}, ".authorization_params.a: input should be a valid string"),
    ],
)
def test_a_wrong_parameter_is_explained_in_one_line(fault, parameters, explanation):
    line = fault({"applications": {"app": {"authorization_params": parameters}}})
    assert f": applications.app{explanation}" in line
