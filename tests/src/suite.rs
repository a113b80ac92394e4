//! What a server has to do on every runtime: conformance functions, generic over [`Runtime`], with
//! real sockets on the loopback interface.
//!
//! Each function is one case. It runs on the runtime under test; its clients block, so they run on
//! threads of their own. To add a case write it into the file of its topic and name it in
//! [`conformance`](crate::conformance!); to add a runtime call that macro.
#![expect(clippy::missing_panics_doc, reason = "a case that fails panics")]

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use ws_net::Runtime;

pub mod authorize;
pub mod backpressure;
pub mod cancellation;
pub mod client;
pub mod contract;
pub mod crowd;
pub mod deflate;
pub mod doors;
pub mod faults;
pub mod http;
pub mod hyper;
pub mod incoming;
pub mod limits;
pub mod listeners;
pub mod messages;
pub mod options;
pub mod pieces;
pub mod proxied;
pub mod shutdown;
pub mod slow;
pub mod storage;
pub mod streams;
mod support;
pub use support::{aside, echo};
pub mod tls;
pub mod topics;
pub mod unix;
pub mod upgrade;

/// How long a case may take: longer than its clients have patience, so that they say what is
/// missing.
const LIMIT: Duration = Duration::from_secs(60);

/// Runs one case on `runtime`, whose tasks run meanwhile.
pub async fn run<R: Runtime>(runtime: R, case: impl AsyncFnOnce(R)) {
    let mut timer = pin!(runtime.sleep_until(runtime.now() + LIMIT));
    let mut case = pin!(case(runtime));
    poll_fn(|cx| {
        assert!(timer.as_mut().poll(cx).is_pending(), "the case takes more than {LIMIT:?}");
        if case.as_mut().poll(cx).is_ready() { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

/// Makes a test of every case for a runtime that blocks on so many threads:
/// `conformance!(name_of_the_module, adapter::Runtime, threads)`, or of some:
/// `conformance!(name_of_the_module, adapter::Runtime, threads; topic { case, })`.
#[macro_export]
macro_rules! conformance {
    ($name:ident, $adapter:ident :: $runtime:ident, $threads:literal) => {
        $crate::conformance! { $name, $adapter::$runtime, $threads;
            authorize {
                it_sees_the_request_and_leaves_data,
                it_rejects_with_an_http_answer,
                an_error_in_it_is_a_refusal,
                it_may_wait,
                a_panic_in_it_ends_its_own_connection_alone,
                it_is_dropped_when_the_client_leaves,
                it_is_dropped_at_the_deadline,
                it_comes_before_accept,
                it_comes_before_the_listeners,
                a_connection_may_be_rejected_at_any_time,
            }
            backpressure {
                try_send_hands_the_message_back_when_there_is_no_room,
                send_waits_for_room_and_goes_on,
                ready_waits_for_room_and_takes_none,
                a_broadcast_leaves_out_who_reads_too_slowly,
                messages_that_are_not_taken_hold_the_peer_back,
                who_writes_and_never_reads_is_dropped,
                no_message_is_told_while_there_is_no_room_for_an_answer,
            }
            cancellation {
                recv_loses_no_message,
                recv_elsewhere_loses_no_message,
                send_neither_loses_nor_doubles,
                sending_uncompressed_neither_loses_nor_doubles,
                halves_and_ids_lose_no_message,
                closed_tells_after_all,
                accept_loses_no_client,
                an_accept_that_is_dropped_ends_the_connection,
                serve_and_run_stop_accepting_when_dropped,
                futures_that_were_never_polled_do_nothing,
                reconnecting_may_be_dropped_at_every_point,
                a_shutdown_that_is_dropped_leaves_out_the_rest,
            }
            client {
                a_client_talks_to_a_server_in_every_version,
                a_client_takes_fragments_and_answers_pings,
                close_codes_go_both_ways,
                the_last_handle_of_a_client_closes,
                a_client_has_limits,
                a_client_has_one_deadline,
                a_client_looks_names_up,
                a_client_is_told_what_is_wrong,
                a_client_sees_the_headers_of_the_answer,
                a_redirect_is_followed_if_it_may_be,
                a_connect_proxy_is_used,
                a_socks_proxy_is_used,
                a_proxy_that_refuses_says_so,
                an_attempt_can_be_dropped_at_every_point,
                reconnecting_brings_the_next_connection,
                reconnecting_goes_on_with_other_credentials,
            }
            contract {
                the_clock_is_one_and_never_goes_back,
                a_timer_is_never_early,
                a_deadline_that_has_passed_completes_soon,
                a_deadline_beyond_all_clocks_is_never,
                a_timer_can_be_moved,
                a_timer_that_was_moved_away_stays_silent,
                a_task_runs_although_nobody_waits,
                a_task_that_panics_takes_nobody_with_it,
                a_listener_tells_who_connected,
                connecting_gives_a_stream_in_both_directions,
                connecting_to_nobody_is_an_error,
                a_reader_is_woken_however_its_last_read_ended,
                shutting_down_ends_the_outgoing_direction_only,
                a_writer_waits_for_room_and_is_woken,
            }
            crowd {
                a_client_talks_to_the_others_or_to_all,
                everybody_hears_broadcasts_in_the_same_order,
                a_crowd_hears_every_source_once_and_in_order,
                the_manager_knows_who_is_connected,
                the_manager_finds_maps_and_filters,
                the_manager_may_be_called_from_its_own_callbacks,
            }
            deflate {
                both_sides_agree_and_messages_come_back,
                compression_shows_on_the_wire,
                a_broadcast_reaches_those_who_compress_and_those_who_do_not,
                nothing_is_compressed_unless_both_want_it,
            }
            doors {
                port_zero_is_any_free_port,
                a_port_in_use_is_an_error_that_names_it,
                a_port_is_shared_when_all_ask_for_it,
                threads_may_share_a_server_and_no_socket,
                serving_nothing_is_an_error,
                accept_takes_no_sockets_of_other_doors,
                a_server_that_serves_takes_no_further_socket,
                a_socket_may_be_added_to_a_server_that_accepts,
                a_server_that_is_closed_already_serves_nobody,
                serve_runs_the_handler_for_every_client,
                serve_closes_when_the_handler_returns,
                run_tells_the_listeners,
                accept_hands_out_connections_until_they_are_dropped,
                tasks_of_their_own_may_receive_and_send,
                listen_binds_and_runs,
                a_server_serves_several_sockets,
                close_stops_serving_and_leaves_connections_alone,
                close_ends_accept,
            }
            faults {
                a_handler_that_panics_ends_its_own_connection_alone,
                a_handler_that_fails_ends_its_own_connection_alone,
                a_handler_that_panics_at_once_does_no_harm,
                a_payload_whose_end_panics_ends_its_own_connection_alone,
                a_listener_that_panics_ends_its_own_connection_alone,
                a_client_that_never_asks_is_sent_away,
                a_client_that_is_silent_is_pinged,
                a_broken_rule_closes_with_its_code,
                a_reset_ends_the_connection,
                abort_ends_a_connection_at_once,
            }
            http {
                a_connection_is_kept_alive,
                a_handler_sees_where_a_request_comes_from,
                bodies_are_read_and_requests_pipelined,
                websockets_and_http_share_the_port,
                a_wrong_handshake_is_not_handed_over,
                a_service_that_panics_does_no_harm,
                a_client_that_asks_nothing_more_is_sent_away,
                shutdown_ends_idle_connections,
                a_body_that_stalls_is_an_error,
            }
            hyper {
                pages_and_websockets_share_the_port_of_hyper,
                hyper_writes_the_refusals,
                who_comes_through_hyper_has_the_address_of_the_request,
                a_panic_behind_hyper_ends_its_own_connection,
                who_comes_through_hyper_may_be_decided_about,
                upgrades_behind_hyper_may_be_dropped_at_every_point,
            }
            incoming {
                a_request_can_be_looked_at,
                reject_is_an_http_answer,
                accept_takes_a_subprotocol_and_headers,
                a_choice_that_was_not_offered_is_an_error,
                a_request_that_is_dropped_is_answered_with_503,
                requests_that_wait_when_the_server_closes_get_503,
                a_client_that_leaves_in_its_handshake_is_an_error,
                a_client_that_left_before_the_answer_is_an_error,
            }
            limits {
                a_full_server_lets_clients_wait,
                an_address_has_its_share_of_connections,
                an_address_has_its_share_of_handshakes,
                a_connection_ends_with_its_lifetime,
            }
            listeners {
                everything_is_told_in_order,
                clients_that_never_open_are_not_told_as_closed,
                listeners_are_called_in_the_order_they_were_added,
                a_listener_may_remove_itself_and_add_others,
                no_message_is_told_behind_a_close,
                recv_takes_nothing_from_the_listeners,
                listeners_may_call_anything,
                a_connection_has_listeners_of_its_own,
                who_is_refused_is_told,
                a_server_tells_where_it_listens_and_that_it_stops,
                pongs_are_told,
                a_pong_listener_may_be_removed,
                a_pause_holds_messages_back,
                messages_to_an_id_arrive_or_come_back,
                listeners_are_removed_by_name_kind_or_all,
                a_listener_on_a_closed_connection_is_dropped,
                a_connection_tells_its_own_refusal,
                messages_to_nobody_come_back,
            }
            messages {
                every_version_is_echoed,
                messages_like_those_before_them_are_echoed,
                the_longest_message_is_echoed,
                pipelined_messages_are_answered_in_order,
                bytes_may_come_one_by_one,
                a_handler_sees_what_was_asked,
                headers_keep_their_order_and_case,
                an_id_shows_the_port_and_is_unique,
                a_clean_close_ends_recv_quietly,
                a_lost_client_is_an_error_behind_its_messages,
                what_is_no_websocket_is_refused,
            }
            options {
                every_option_is_named_when_it_makes_no_sense,
                a_wrong_option_opens_no_socket,
                a_client_names_its_wrong_options,
                versions_may_be_named_and_the_others_are_told_which,
            }
            pieces {
                long_messages_go_both_ways_in_pieces_in_every_version,
                compressed_messages_go_both_ways_in_pieces,
                more_than_a_message_may_have_is_passed_on_while_it_arrives,
                a_reader_holds_its_peer_back,
                readers_and_writers_that_are_dropped_lose_nothing,
                a_writer_that_is_dropped_says_so,
                a_reader_that_is_dropped_leaves_the_next_message,
                others_wait_while_a_message_is_written,
            }
            proxied {
                the_client_is_whom_the_proxy_names,
                what_begins_otherwise_is_dropped,
                each_client_has_its_share,
                a_proxy_may_pass_tls_on,
                a_shutdown_waits_for_no_header,
            }
            shutdown {
                shutdown_closes_everybody,
                shutdown_aborts_who_does_not_end_in_time,
                an_empty_server_shuts_down_at_once,
                shutdown_ends_handshakes,
                the_peer_has_the_end_before_it_is_told,
            }
            slow {
                those_who_are_slow_are_skipped,
                the_oldest_messages_are_dropped,
                the_latest_message_is_kept,
                those_who_are_slow_are_closed,
                a_delivery_waits_for_the_slow,
                a_delivery_ends_with_its_receivers,
                deliveries_that_are_dropped_come_once_or_never,
            }
            storage {
                every_connection_has_a_store_of_its_own,
                a_store_does_what_redis_does,
                there_is_no_store_when_it_is_off,
                a_store_is_bounded,
                a_store_may_be_shared,
                a_factory_makes_the_stores,
                a_store_is_dropped_when_its_connection_closes,
                commands_may_be_dropped_at_every_point,
            }
            streams {
                halves_work_side_by_side,
                a_half_that_is_dropped_leaves_the_other,
                a_connection_is_a_stream_and_a_sink,
                closing_a_sink_waits_for_the_end,
                polls_that_are_given_up_lose_no_message,
            }
            topics {
                a_message_reaches_the_others_who_subscribed,
                subscriptions_end_with_the_connection,
                limits_on_topics_hold,
                subscribers_hear_a_topic_in_the_same_order,
                a_predicate_may_call_anything,
            }
            tls {
                every_version_is_echoed_over_tls,
                clients_may_show_a_certificate,
                a_certificate_is_known_before_the_answer,
                clients_must_show_a_certificate_when_it_is_required,
                a_reload_changes_the_certificate_of_new_handshakes,
                files_that_cannot_be_used_are_an_error_that_names_them,
                plain_http_on_a_tls_port_gets_a_hint,
                tls_on_a_plain_port_is_refused_at_once,
                http_is_served_over_tls,
                a_close_is_clean_and_a_cut_is_not,
                plain_and_encrypted_ports_are_served_together,
                who_came_over_tls_is_known,
            }
            unix {
                a_unix_socket_is_served_and_removed,
                a_file_that_is_in_the_way_is_an_error_that_says_why,
                an_adopted_unix_socket_keeps_its_file,
                futures_of_unix_sockets_may_be_dropped,
            }
            upgrade {
                a_websocket_may_follow_a_page,
                a_request_behind_a_page_waits_for_its_answer,
                a_bad_request_behind_a_page_is_refused,
                a_websocket_behind_a_page_keeps_its_seat_and_ends,
                a_panic_behind_a_page_ends_its_own_connection,
                a_request_behind_a_page_does_not_wait_for_ever,
                streams_from_elsewhere_are_served,
                upgrades_may_be_dropped_at_every_point,
            }
        }
    };
    ($name:ident, $adapter:ident :: $runtime:ident, $threads:literal;
        $($topic:ident { $($case:ident,)+ })+
    ) => {
        mod $name {
            fn run(case: impl AsyncFnOnce($adapter::$runtime)) {
                let case = $crate::suite::run($adapter::$runtime, case);
                $adapter::block_on($threads, case).expect("the runtime starts");
            }

            $(mod $topic {
                $(#[test]
                fn $case() {
                    super::run($crate::suite::$topic::$case);
                })+
            })+
        }
    };
}
