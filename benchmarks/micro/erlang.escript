#!/usr/bin/env escript
%%! +S 1:1
%% The duels of benchmarks.actors, done by Erlang: one line of JSON.
%%
%% Two forms of each: the bare process that a message costs least with, and the
%% gen_server that a program is made of.
-mode(compile).
-behaviour(gen_server).
-export([init/1, handle_call/3, handle_cast/2]).

-define(MESSAGES, 100000).
-define(ASKS, 20000).
-define(LIVES, 20000).
-define(CROWD, 5000).
-define(ROUNDS, 7).

main(_) ->
    Raw = spawn(fun raw/0),
    {ok, Server} = gen_server:start(?MODULE, [], []),
    Me = self(),
    Figures = [
        {"tell", median(fun() -> each(?MESSAGES, fun() ->
            [Raw ! N || N <- lists:seq(1, ?MESSAGES)],
            Raw ! {last, Me}, receive last -> ok end end) end)},
        {"tell, gen_server", median(fun() -> each(?MESSAGES, fun() ->
            [gen_server:cast(Server, N) || N <- lists:seq(1, ?MESSAGES)],
            gen_server:call(Server, sync) end) end)},
        {"ask", median(fun() -> each(?ASKS, fun() ->
            [begin Raw ! {ask, Me, N}, receive {answer, _} -> ok end end
             || N <- lists:seq(1, ?ASKS)] end) end)},
        {"ask, gen_server", median(fun() -> each(?ASKS, fun() ->
            [gen_server:call(Server, N) || N <- lists:seq(1, ?ASKS)] end) end)},
        {"fan-out", fan_out()},
        {"spawn and stop", median(fun() -> each(?LIVES, fun() ->
            [begin {P, M} = spawn_monitor(fun raw/0), P ! stop,
                   receive {'DOWN', M, process, P, _} -> ok end end
             || _ <- lists:seq(1, ?LIVES)] end) end)},
        {"spawn and stop, gen_server", median(fun() -> each(?LIVES, fun() ->
            [begin {ok, P} = gen_server:start(?MODULE, [], []), gen_server:stop(P) end
             || _ <- lists:seq(1, ?LIVES)] end) end)}
    ],
    Kilobytes = memory(),
    Lines = [io_lib:format("~p: ~.4f", [Name, Figure]) || {Name, Figure} <- Figures],
    io:format("{\"release\": \"~s\", \"kb\": ~.2f, ~s}~n", [
        erlang:system_info(otp_release), Kilobytes, lists:join(", ", Lines)]).

raw() ->
    receive
        {last, From} -> From ! last, raw();
        {ask, From, N} -> From ! {answer, N + 1}, raw();
        {news, From} -> From ! seen, raw();
        stop -> ok;
        _ -> raw()
    end.

init(_) -> {ok, none}.
handle_call(sync, _, State) -> {reply, ok, State};
handle_call(N, _, State) -> {reply, N + 1, State}.
handle_cast(_, State) -> {noreply, State}.

fan_out() ->
    Me = self(),
    Crowd = [spawn(fun raw/0) || _ <- lists:seq(1, ?CROWD)],
    Took = median(fun() -> each(?CROWD, fun() ->
        [P ! {news, Me} || P <- Crowd],
        [receive seen -> ok end || _ <- Crowd] end) end),
    [exit(P, kill) || P <- Crowd],
    Took.

memory() ->
    Before = erlang:memory(processes),
    Crowd = [begin {ok, P} = gen_server:start(?MODULE, [], []), P end
             || _ <- lists:seq(1, ?CROWD)],
    Kilobytes = (erlang:memory(processes) - Before) / ?CROWD / 1024,
    [exit(P, kill) || P <- Crowd],
    Kilobytes.

%% Microseconds of one operation, by the clock: one scheduler has nobody to wait for.
each(Count, Do) ->
    {Took, _} = timer:tc(fun() -> Do(), ok end),
    Took / Count.

median(Measure) ->
    lists:nth(?ROUNDS div 2 + 1, lists:sort([Measure() || _ <- lists:seq(1, ?ROUNDS)])).
