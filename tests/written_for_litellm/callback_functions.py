"""Functions, plain and async, registered by assignment."""

import litellm


def custom_callback(kwargs, completion_response, start_time, end_time):
    print(
        "LITELLM: in custom callback function", kwargs["log_event_type"], (end_time - start_time).total_seconds() >= 0
    )
    if "complete_streaming_response" in kwargs:
        print("Complete Streaming Response:", kwargs["complete_streaming_response"].choices[0].message.content)
    print(kwargs["litellm_params"]["metadata"])


def track_cost_callback(kwargs, completion_response, start_time, end_time):
    print("regular response_cost", kwargs["response_cost"])


def get_transformed_inputs(kwargs):
    print("params to model", kwargs["additional_args"]["complete_input_dict"])


async def async_test_logging_fn(kwargs, completion_obj, start_time, end_time):
    print("On Async Success!")


litellm.success_callback = [custom_callback, track_cost_callback, async_test_logging_fn]
litellm.input_callback = [get_transformed_inputs]
