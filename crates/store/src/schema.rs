//! The tables as diesel sees them; `migrations/` is what makes them.

diesel::table! {
    webhooks (id) {
        id -> BigInt,
        tenant_id -> Text,
        name -> Text,
        url -> Text,
        events -> Text,
        secret -> Nullable<Text>,
        is_active -> Nullable<Bool>,
        retry_count -> Nullable<Integer>,
        timeout -> Nullable<Integer>,
        last_triggered_at -> Nullable<Timestamp>,
        created_at -> Timestamp,
        updated_at -> Timestamp,
        deleted_at -> Nullable<Timestamp>,
        previous_secret -> Nullable<Text>,
        previous_secret_until -> Nullable<Timestamp>,
        secret_sealed -> Nullable<Text>,
        previous_secret_sealed -> Nullable<Text>,
        options -> Nullable<Text>,
        failing_since -> Nullable<Timestamp>,
        n_failures -> Integer,
        disabled_reason -> Nullable<Text>,
        disabled_at -> Nullable<Timestamp>,
        receiver_version -> Integer,
    }
}

diesel::table! {
    webhook_revision (id) {
        id -> BigInt,
        revision -> BigInt,
    }
}

diesel::table! {
    webhook_logs (id) {
        id -> BigInt,
        webhook_id -> BigInt,
        event -> Text,
        payload -> Text,
        response_code -> Nullable<Integer>,
        response_body -> Nullable<Text>,
        error -> Nullable<Text>,
        duration_ms -> Nullable<Integer>,
        attempt -> Integer,
        created_at -> Timestamp,
        delivery_id -> Nullable<Text>,
        dns_ms -> Nullable<Integer>,
        connect_ms -> Nullable<Integer>,
        tls_ms -> Nullable<Integer>,
        first_byte_ms -> Nullable<Integer>,
        body_ms -> Nullable<Integer>,
    }
}

diesel::table! {
    webhook_skips (id) {
        id -> BigInt,
        webhook_id -> BigInt,
        delivery_id -> Nullable<Text>,
        event -> Nullable<Text>,
        reason -> Text,
        created_at -> Timestamp,
    }
}

diesel::table! {
    webhook_events (id) {
        id -> BigInt,
        tenant_id -> Text,
        event_id -> Text,
        event_type -> Text,
        body -> Binary,
        accepted_at -> BigInt,
    }
}

diesel::table! {
    webhook_deliveries (id) {
        id -> BigInt,
        delivery_id -> Text,
        webhook_id -> BigInt,
        tenant_id -> Text,
        event_row -> BigInt,
        state -> Text,
        attempt -> Integer,
        attempts_before -> Integer,
        is_retry -> Bool,
        due_at -> BigInt,
        expires_at -> Nullable<BigInt>,
        order_key -> Nullable<Text>,
        lease_owner -> Nullable<Text>,
        lease_until -> Nullable<BigInt>,
        fence -> BigInt,
        created_at -> BigInt,
        ended_at -> Nullable<BigInt>,
        reason -> Nullable<Text>,
    }
}

diesel::table! {
    event_ids (tenant_id, event_id) {
        tenant_id -> Text,
        event_id -> Text,
        fingerprint -> Binary,
        accepted_at -> BigInt,
    }
}

diesel::table! {
    offline_messages (id) {
        id -> BigInt,
        tenant_id -> Text,
        user_id -> Text,
        event_id -> Text,
        envelope -> Binary,
        accepted_at -> BigInt,
        is_claimed -> Bool,
    }
}

diesel::table! {
    offline_users (tenant_id, user_id) {
        tenant_id -> Text,
        user_id -> Text,
        n_messages -> BigInt,
        n_dropped -> BigInt,
        n_bytes -> BigInt,
    }
}

diesel::table! {
    chat_sessions (session_key) {
        session_key -> Text,
        tenant_id -> Text,
        alias -> Nullable<Text>,
        last_active -> BigInt,
    }
}

diesel::table! {
    saved_history (tenant_id, part) {
        tenant_id -> Text,
        part -> BigInt,
        body -> Binary,
    }
}

diesel::table! {
    write_proof (id) {
        id -> BigInt,
        filling -> Binary,
    }
}

diesel::joinable!(webhook_logs -> webhooks (webhook_id));
diesel::joinable!(webhook_deliveries -> webhook_events (event_row));
diesel::allow_tables_to_appear_in_same_query!(webhooks, webhook_logs);
diesel::allow_tables_to_appear_in_same_query!(webhooks, webhook_deliveries);
diesel::allow_tables_to_appear_in_same_query!(webhook_deliveries, webhook_events);
